//! The policy: everything that one agent may do, and the one place that decides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use url::Url;

use crate::decision::{Decision, Rule};
use crate::domain::{DomainError, DomainRule, Domains, parse_url};
use crate::grant::guest_directory;
use crate::{
    Access, Action, Allowance, Grant, GrantError, GuestPath, ImageFile, Limit, Limits, Location,
    Packages, Permission, Profile, Source, SourceRules, ToolRules, Wheel,
};

/// The memory that a run takes whatever its limits, in bytes: stacks, records, buffers.
const RUN_BYTES: u64 = 16 << 20;

/// The authority of one agent. Nothing is granted that is not in here.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) agent: String,
    pub(crate) description: String,
    pub(crate) permissions: Permission,
    /// Sorted by guest path, none in another.
    pub(crate) grants: Vec<Grant>,
    pub(crate) domains: Domains,
    /// The path of the working directory, if there is one.
    pub(crate) work: Option<GuestPath>,
    pub(crate) packages: Packages,
    pub(crate) image: Option<ImageFile>,
    pub(crate) limits: Limits,
    pub(crate) source_rules: SourceRules,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) tools: BTreeMap<String, ToolRules>,
    /// The file that it was read from, and those that this extends, by their real paths.
    pub(crate) files: Vec<PathBuf>,
    /// The place of each key, if the policy was read from a file.
    pub(crate) locations: BTreeMap<String, Location>,
    /// The texts that it was read from, that of the file itself last.
    pub(crate) sources: Vec<Source>,
}

impl Policy {
    /// A policy of `permissions` and `limits`, called `agent`, with no directory, no domain, no
    /// variable and no tool, and with the [`Standard`](Profile::Standard) profile.
    pub fn new(permissions: Permission, limits: Limits) -> Self {
        Self {
            agent: "agent".to_owned(),
            description: String::new(),
            permissions,
            grants: Vec::new(),
            domains: Domains::default(),
            work: None,
            packages: Packages::default(),
            image: None,
            limits,
            source_rules: Profile::Standard.source_rules(),
            env: BTreeMap::new(),
            tools: BTreeMap::new(),
            files: Vec::new(),
            locations: BTreeMap::new(),
            sources: Vec::new(),
        }
    }

    /// Computing and nothing else: code runs, within the default limits.
    pub fn computing() -> Self {
        Self {
            description: "Computing and nothing else.".to_owned(),
            ..Self::new(Permission::EXECUTE_CODE, Limits::default())
        }
    }

    /// The same policy for an agent of this name, which the audit trail shows.
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = agent.into();
        self
    }

    /// The same policy under other limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same policy with other rules about source.
    pub fn with_source_rules(mut self, rules: impl Into<SourceRules>) -> Self {
        self.source_rules = rules.into();
        self
    }

    /// The same policy with these permissions too.
    pub fn with_permissions(mut self, permissions: Permission) -> Self {
        self.permissions |= permissions;
        self
    }

    /// The same policy with one more directory.
    ///
    /// # Errors
    ///
    /// [`GrantError::Overlap`] if it shares files with a directory that is granted already.
    pub fn with_grant(mut self, grant: Grant) -> Result<Self, GrantError> {
        self.add_grant(grant)?;
        Ok(self)
    }

    /// The same policy, whose directories lie elsewhere on the host: scripts find and may do the
    /// same as before, in other files. For trying a policy out without touching what it is about.
    ///
    /// # Errors
    ///
    /// [`GrantError`] if one of the new directories is not absolute, or shares files with another.
    pub fn with_hosts(
        mut self,
        mut host: impl FnMut(&Grant) -> PathBuf,
    ) -> Result<Self, GrantError> {
        for grant in std::mem::take(&mut self.grants) {
            let moved = Grant::new(&grant.guest.to_string(), host(&grant), grant.access)?;
            self.add_grant(Grant {
                at: grant.at,
                ..moved
            })?;
        }
        Ok(self)
    }

    /// The path at which scripts find their working directory, unless a policy says another.
    pub const WORK: &str = "/work";

    /// The same policy, in which scripts have a working directory at `path`, and `/tmp` in it
    /// unless a directory is granted there: in the host's memory, within [`Limit::WorkSize`] and
    /// [`Limit::WorkFiles`]. It takes no permission, since nothing in it is the host's.
    ///
    /// [`Limit::WorkSize`]: crate::Limit::WorkSize
    /// [`Limit::WorkFiles`]: crate::Limit::WorkFiles
    ///
    /// # Errors
    ///
    /// [`GrantError`] if `path` is not absolute, is the root or in `/tmp`, or shares files with a
    /// directory that is granted.
    pub fn with_work(mut self, path: &str) -> Result<Self, GrantError> {
        let work = guest_directory(path)?;
        let granted = self.grants.iter().map(|grant| &grant.guest);
        let taken = [GuestPath::temporary(), GuestPath::packages()];
        for other in granted.chain(taken) {
            if other.overlaps(&work) {
                let [what, with] = [path.to_owned(), other.to_string()];
                return Err(GrantError::Overlap { what, with });
            }
        }
        self.work = Some(work);
        Ok(self)
    }

    /// The same policy, in which scripts can import and read what is in this wheel, under
    /// `/packages`. It takes no permission, since nothing in it is the host's.
    ///
    /// # Errors
    ///
    /// [`GrantError`] if a directory is granted there.
    ///
    /// # Security
    ///
    /// The code in it runs as the script does. It is not screened, and imports what it needs.
    pub fn with_wheel(mut self, wheel: Wheel) -> Result<Self, GrantError> {
        self.packages.wheels.push(wheel);
        self.check_packages()?;
        Ok(self)
    }

    /// The same policy, in which scripts can import and read what is in this directory of the host,
    /// as it is when a sandbox is made: as [`with_wheel`](Self::with_wheel).
    ///
    /// # Errors
    ///
    /// [`GrantError`] if a directory is granted there, or this one is not absolute.
    pub fn with_package_directory(mut self, host: impl Into<PathBuf>) -> Result<Self, GrantError> {
        let host = host.into();
        if !host.is_absolute() {
            return Err(GrantError::Relative(host));
        }
        self.packages.directories.push(host);
        self.check_packages()?;
        Ok(self)
    }

    /// The same policy with these packages, and no others: as [`with_wheel`](Self::with_wheel).
    ///
    /// # Errors
    ///
    /// [`GrantError`] if a directory is granted there.
    pub fn with_packages(mut self, packages: Packages) -> Result<Self, GrantError> {
        self.packages = packages;
        self.check_packages()?;
        Ok(self)
    }

    /// The same policy with this image for scripts to start from; with none, they start from an
    /// interpreter that has run nothing.
    pub fn with_image(mut self, image: Option<ImageFile>) -> Self {
        self.image = image;
        self
    }

    /// Checks that nothing else lies where packages do.
    pub(crate) fn check_packages(&self) -> Result<(), GrantError> {
        let granted = self.grants.iter().map(|grant| &grant.guest);
        let packages = GuestPath::packages();
        match granted
            .chain(&self.work)
            .find(|other| other.overlaps(packages))
        {
            Some(other) if !self.packages.is_empty() => Err(GrantError::Overlap {
                what: packages.to_string(),
                with: other.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// The same policy with one more entry of `allowed_domains`.
    ///
    /// # Errors
    ///
    /// [`DomainError`] if it is not one, or overlaps with one that is granted already.
    pub fn with_domain(mut self, domain: &str) -> Result<Self, DomainError> {
        self.domains.add(DomainRule::new(domain)?)?;
        Ok(self)
    }

    /// The same policy in which the tool of this name may be called, under these rules.
    pub fn with_tool(mut self, name: impl Into<String>, rules: ToolRules) -> Self {
        self.tools.insert(name.into(), rules);
        self
    }

    pub(crate) fn add_grant(&mut self, grant: Grant) -> Result<(), GrantError> {
        if let Some(other) = self.grants.iter().find(|other| other.overlaps(&grant)) {
            let in_guest = grant.shares_guest(other);
            let [what, with] = [&grant, other].map(|grant| {
                if in_guest {
                    grant.guest.to_string()
                } else {
                    grant.host.to_string_lossy().into_owned()
                }
            });
            return Err(GrantError::Overlap { what, with });
        }
        let mut in_memory = self.work.iter().chain(self.package_directory());
        if let Some(other) = in_memory.find(|other| other.overlaps(&grant.guest)) {
            return Err(GrantError::Overlap {
                what: grant.guest.to_string(),
                with: other.to_string(),
            });
        }
        let at = self
            .grants
            .partition_point(|other| other.guest < grant.guest);
        self.grants.insert(at, grant);
        Ok(())
    }

    /// The agent's name.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Returns the purpose of the policy, in its author's words.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the permissions.
    pub fn permissions(&self) -> Permission {
        self.permissions
    }

    /// The granted directories, by guest path.
    pub fn grants(&self) -> impl ExactSizeIterator<Item = &Grant> {
        self.grants.iter()
    }

    /// The path of the working directory, if scripts have one.
    pub fn work(&self) -> Option<&GuestPath> {
        self.work.as_ref()
    }

    /// The packages that scripts can import.
    pub fn packages(&self) -> &Packages {
        &self.packages
    }

    /// The image that scripts start from, if it is not an interpreter that has run nothing.
    pub fn image(&self) -> Option<&ImageFile> {
        self.image.as_ref()
    }

    /// The directory that scripts find packages in, if there are any.
    pub fn package_directory(&self) -> Option<&GuestPath> {
        (!self.packages.is_empty()).then(GuestPath::packages)
    }

    /// Returns the most memory of the host, in bytes, that one run holds at a time, by its limits:
    /// linear memory, the working directory (as it is, and as it comes out), displays, output, the
    /// value, and what calls of tools take. Beside that are what its caller gives it, and packages
    /// and images, which all runs share.
    pub fn host_bytes(&self) -> Allowance<u64> {
        let work = if self.work.is_some() { 2 } else { 0 };
        let tools = u64::from(!self.tools.is_empty());
        let parts = [
            (Limit::Memory, 1),
            (Limit::WorkSize, work),
            (Limit::DisplayBytes, 2),
            (Limit::Stdout, 2),
            (Limit::Stderr, 2),
            // As JSON, and parsed: `[[],[]]` takes ten times its length.
            (Limit::Value, 32),
            (Limit::HostMemory, tools),
        ];
        let mut bytes = RUN_BYTES;
        for (limit, times) in parts {
            match self.limits.get(limit) {
                Allowance::AtMost(amount) => {
                    bytes = bytes.saturating_add(amount.saturating_mul(times))
                }
                Allowance::Unlimited if times > 0 => return Allowance::Unlimited,
                Allowance::Unlimited => {}
            }
        }
        Allowance::AtMost(bytes)
    }

    /// The directories that scripts have in the host's memory: the working directory, and `/tmp`
    /// unless a directory is granted there.
    pub fn work_directories(&self) -> impl Iterator<Item = &GuestPath> {
        let temporary = self.work.as_ref().map(|_| GuestPath::temporary());
        let is_granted =
            |path: &&GuestPath| self.grants.iter().any(|grant| grant.guest.overlaps(path));
        let temporary = temporary.filter(|path| !is_granted(path));
        self.work.iter().chain(temporary)
    }

    /// The granted domains.
    pub fn domains(&self) -> impl Iterator<Item = &DomainRule> {
        self.domains.iter()
    }

    /// Returns the limits of a run.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the rules about source.
    pub fn source_rules(&self) -> &SourceRules {
        &self.source_rules
    }

    /// The environment variables that every run gets.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// The tools that may be called.
    pub fn tools(&self) -> &BTreeMap<String, ToolRules> {
        &self.tools
    }

    /// The real paths of the files that it was read from; none if it was not.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The file that it was read from, as it was named when it was loaded.
    pub fn file(&self) -> Option<&Path> {
        let source = self.sources.last().filter(|source| source.path.is_some());
        source.map(|source| &*source.file)
    }

    /// Returns the place of a key in the policy's file: `permissions`, `limits.timeout`.
    pub fn location(&self, key: &str) -> Option<&Location> {
        self.locations.get(key)
    }

    /// The modules that the policy's files name in `source.allow_imports`.
    pub fn allowed_by_name(&self) -> Vec<&str> {
        let keys = self.locations.keys();
        keys.filter_map(|key| {
            key.strip_prefix("source.allow_imports[\"")?
                .strip_suffix("\"]")
        })
        .collect()
    }

    /// Returns whether a key stands in the policy's own file, not in one that it extends.
    pub fn is_own(&self, at: &Location) -> bool {
        self.sources
            .last()
            .is_some_and(|source| source.file == at.file)
    }

    /// Locates a key of the policy's file, or the nearest key above it.
    pub fn nearest_location(&self, key: &str) -> Option<&Location> {
        let mut above = std::iter::successors(Some(key), |key| {
            key.rfind(['.', '[']).and_then(|end| key.get(..end))
        });
        above.find_map(|key| self.locations.get(key))
    }

    /// Returns the access to a directory: what its entry says, as far as permitted.
    pub fn access(&self, grant: &Grant) -> Access {
        let parts = grant.access.iter();
        parts
            .filter(|part| self.permissions.contains(part.permissions()))
            .collect()
    }

    /// The directories in which anything may be done, each with what may really be done in it.
    pub fn effective_grants(&self) -> impl Iterator<Item = Grant> {
        let effective = self.grants.iter().map(|grant| Grant {
            access: self.access(grant),
            ..grant.clone()
        });
        effective.filter(|grant| !grant.access.is_empty())
    }

    /// May this be done to this? [`Action`] says what each takes as its resource.
    ///
    /// Asks nothing but the policy: no file system, no name server.
    pub fn check(&self, action: Action, resource: impl AsRef<[u8]>) -> Decision<'_> {
        match action {
            Action::ReadFile | Action::WriteFile => match GuestPath::new(resource) {
                Ok(path) => self.check_path(action, path),
                Err(error) => self.decide(action, Rule::NoPath(error)),
            },
            Action::HttpRequest => match parse_url(resource) {
                Ok(url) => self.check_url(&url),
                Err(error) => self.decide(action, Rule::NoUrl(error)),
            },
            Action::Execute | Action::DbRead | Action::DbWrite | Action::SendEmail => {
                self.decide(action, Rule::Permitted)
            }
        }
    }

    /// May this be done to the file or directory at this path?
    ///
    /// An action that is not about files is refused.
    pub fn check_path(&self, action: Action, path: GuestPath) -> Decision<'_> {
        let needed = match action {
            Action::ReadFile => Access::READ,
            Action::WriteFile => Access::WRITE,
            _ => return self.decide(action, Rule::Outside(path, &self.grants)),
        };
        let mut works = self.work_directories();
        if works.any(|work| path.within(work).is_some()) {
            return self.decide(action, Rule::Work(path));
        }
        if self
            .package_directory()
            .is_some_and(|packages| path.within(packages).is_some())
        {
            return self.decide(action, Rule::Packages(path));
        }
        // Grants are disjoint, so only the last that does not follow the path can hold it.
        let after = self.grants.partition_point(|grant| grant.guest <= path);
        let holds = after.checked_sub(1).and_then(|last| self.grants.get(last));
        let rule = match holds.filter(|grant| path.within(&grant.guest).is_some()) {
            None => Rule::Outside(path, &self.grants),
            Some(grant) if grant.access.contains(needed) => Rule::Granted(grant, path),
            Some(grant) => Rule::Narrower(grant, path),
        };
        self.decide(action, rule)
    }

    /// May a script know what is at this path? It may if it can read or write there; to it, nothing
    /// else exists.
    pub fn shows(&self, path: &GuestPath) -> bool {
        let allowed = |action| self.check_path(action, path.clone()).allowed();
        allowed(Action::ReadFile) || allowed(Action::WriteFile)
    }

    /// May a request be sent to this URL, which [`parse_url`] has returned?
    pub fn check_url(&self, url: &Url) -> Decision<'_> {
        let rule = match self.domains.find(url) {
            Ok(Some(domain)) => Rule::Reachable(domain),
            Ok(None) => {
                let origin = url[..url::Position::BeforePath].to_owned();
                Rule::Unreachable(origin, &self.domains)
            }
            Err(error) => Rule::NoUrl(error),
        };
        self.decide(Action::HttpRequest, rule)
    }

    /// The permission comes first: without it, no entry allows anything.
    fn decide<'p>(&'p self, action: Action, rule: Rule<'p>) -> Decision<'p> {
        let takes_none = matches!(rule, Rule::Work(_) | Rule::Packages(_));
        let rule = if takes_none || self.permissions.contains(action.permission()) {
            rule
        } else {
            Rule::Lacking
        };
        let key = |key| self.locations.get(key);
        let at = match &rule {
            Rule::Permitted | Rule::Lacking => key("permissions"),
            Rule::Granted(grant, _) | Rule::Narrower(grant, _) => grant.location(),
            Rule::Outside(..) => key("allowed_paths"),
            Rule::Work(_) => key("work"),
            Rule::Packages(_) => key("packages"),
            Rule::Reachable(domain) => domain.location(),
            Rule::Unreachable(..) => key("allowed_domains"),
            Rule::NoPath(_) | Rule::NoUrl(_) => None,
        };
        Decision { action, rule, at }
    }
}
