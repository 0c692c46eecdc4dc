//! The test bed of one payload: directories, tools and a canary of its own, and the look at all of
//! them after.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wardian::audit::{Memory, verify};
use wardian::{
    Error, Gate, Limits, Log, Outcome, Policy, Runtime, Sandbox, Script, Tool, Verdict,
    outcome::OutputFile,
    policy::{Access, Action, Allowance, Limit, Profile, Source, ToolRules},
    session::SessionOptions,
};
use wardian_tools::{Resolver, http_request_with};

use crate::Suite;
use crate::needs::{allowed_host, read_only};
use crate::probes::{Probes, SECRET};
use crate::row::{FUEL, Kind, Row, SECONDS};
use crate::server::Server;

use crate::program::Program;
use wardian_testkit::{Canary, Fixture, runtime};

/// The lateness of a run's end that is a finding. The promise is 250 ms; a test that holds the
/// machine to it would fail on a busy one, so how late it was is in the report, and the soak holds
/// it to the promise.
const LATE: Duration = Duration::from_secs(2);

/// The time that a call waits for its tool.
const TOOL_WAIT: Duration = Duration::from_secs(1);

/// The length of the mark where an output was cut.
const MARK_BYTES: u64 = 200;

/// Of a benign twin that does not work.
const PROVES_NOTHING: &str = "does not work, so that the attacks prove nothing";

/// The word of a payload that has got what it wanted.
const ESCAPED: &str = "ESCAPED";

/// Python for payloads that try one thing after another: none may succeed.
const ATTEMPT: &str = "
def attempt(*wishes):
    done = []
    for number, attempt in enumerate(wishes):
        try:
            got = attempt()
        except Exception:
            continue
        done.append((number, repr(got)[:80]))
    return f'ESCAPED: {done}' if done else 'nothing'
";

/// The result of a payload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AttemptResult {
    /// The ending.
    pub(crate) ending: String,
    /// Set if that is an ending that it may have.
    pub(crate) right: bool,
    /// Findings: everything that must not be.
    pub(crate) findings: Vec<String>,
    /// The lateness of its end, in milliseconds.
    pub(crate) late_ms: u64,
    /// More about the ending.
    pub(crate) note: String,
}

impl AttemptResult {
    /// Of something that is no run.
    pub(crate) fn plain(ending: &str, findings: Vec<String>) -> Self {
        Self {
            ending: ending.to_owned(),
            right: true,
            findings,
            ..Self::default()
        }
    }

    /// Of something that should not have gone wrong.
    pub(crate) fn failed(why: impl ToString) -> Self {
        Self::plain("failed", vec![why.to_string()])
    }
}

/// A reason for which a test bed can't be had.
pub(crate) type SetupError = Box<dyn std::error::Error + Send + Sync>;

/// Everything that one payload is played in.
pub(crate) struct TestBed {
    fixture: Fixture,
    canary: Canary,
    probes: Probes,
    read: Option<String>,
    write: Option<(String, PathBuf)>,
    served: Server,
    /// Set if scripts are calls of sessions.
    in_sessions: bool,
}

impl TestBed {
    /// For `row` under the suite's policy, in a directory of its own in `dir`, where it stays.
    pub(crate) fn of_row(
        suite: &Suite,
        row: &Row,
        dir: &Path,
        benign: bool,
    ) -> Result<Self, SetupError> {
        let fuel = row.fuel.map_or(FUEL, |fuel| fuel as u64);
        let seconds = row
            .seconds
            .map_or(Duration::from_secs(SECONDS), Duration::from_secs_f64);
        let limits = narrow(suite.policy.limits(), fuel, seconds, TOOL_WAIT)?;
        let mut policy = suite.policy.clone().with_limits(limits);
        if row.kind == Kind::Fetch {
            let mut rules = ToolRules::default();
            // The suite's own server may be reached where a redirect starts, and by the twin.
            let redirects = |payload: &String| payload.split(' ').count() > 2;
            if benign || row.payloads.iter().any(redirects) {
                let here = json!(["127.0.0.1/32"]);
                rules.config.insert("private_networks".to_owned(), here);
            }
            policy = policy.with_tool("http_request", rules);
        }
        let dir = tempfile::Builder::new().prefix("bed-").tempdir_in(dir)?;
        let bed = Self::new(policy, &suite.tools, &dir.keep())?;
        Ok(Self {
            in_sessions: suite.in_sessions,
            ..bed
        })
    }

    /// For this policy, in `dir`, with the suite's own tools and these.
    pub(crate) fn new(policy: Policy, tools: &[Tool], dir: &Path) -> Result<Self, SetupError> {
        let mut fixture = Fixture::in_directory(Probes::grant(policy), dir)?;
        let mut canary = Canary::new(fixture.path(), read_only(fixture.policy()))?;
        for grant in fixture.policy().grants() {
            canary.plant(grant.host())?;
        }
        canary.look()?;
        let probes = Probes::default();
        let own = probes.tools(fixture.policy())?;
        for tool in own.iter().chain(tools) {
            fixture = fixture.with_tool(tool.clone());
        }
        Ok(Self {
            read: fixture.granted(Access::READ).map(|(guest, _)| guest),
            write: fixture.granted(Access::READ_WRITE),
            fixture,
            canary,
            probes,
            served: Server::start()?,
            in_sessions: false,
        })
    }

    /// Plays a payload, and looks at the world.
    pub(crate) fn play(self, row: &Row, payload: &str, benign: bool) -> AttemptResult {
        let mut result = match row.kind {
            Kind::Python => self.python(row, payload, benign),
            Kind::Urls => self.url(payload, benign),
            Kind::Fetch => self.fetch(row, payload, benign),
            Kind::Names => name(row, payload, benign),
            Kind::Policies => policy_file(payload, benign),
            Kind::Host => AttemptResult::failed("is no payload for a sandbox"),
        };
        result.findings.extend(self.findings());
        result
    }

    /// Plays an attack that is code of the suite's own, and looks at the world.
    pub(crate) fn play_host(
        self,
        attack: impl FnOnce(&Self) -> Result<(), String>,
    ) -> AttemptResult {
        let mut findings: Vec<_> = attack(&self).err().into_iter().collect();
        findings.extend(self.findings());
        AttemptResult::plain("done", findings)
    }

    /// Lists what has changed that nobody may change, and what tools have seen that they may not.
    pub(crate) fn findings(&self) -> Vec<String> {
        let mut findings = self.canary.findings();
        findings.extend(self.probes.findings());
        findings.dedup();
        findings
    }

    pub(crate) fn fixture(&self) -> &Fixture {
        &self.fixture
    }

    /// A sandbox of the policy, for source of any kind.
    pub(crate) fn sandbox(&self, log: Log) -> Result<Sandbox, String> {
        let policy = self
            .fixture
            .policy()
            .clone()
            .with_source_rules(Profile::Open);
        let gate = self.fixture.gate_under(policy, log);
        let gate = gate.map_err(|error| error.to_string())?;
        Sandbox::with_gate(runtime(), gate).map_err(|error| error.to_string())
    }

    /// A directory for reading and writing, as scripts and as the host see it.
    pub(crate) fn writable(&self) -> Option<&(String, PathBuf)> {
        self.write.as_ref()
    }

    fn python(&self, row: &Row, payload: &str, benign: bool) -> AttemptResult {
        let code = source(row, payload);
        let policy = self.fixture.policy().clone();
        let may: &[String] = if benign {
            &["completed".to_owned()]
        } else {
            &row.may
        };
        let mut result = self.run(runtime(), policy.clone(), &code, Some(may));
        // Screening is advice. What it refuses must be harmless too.
        if result.ending == "rejected" && policy.source_rules().screening().is_some() {
            let open = policy.with_source_rules(Profile::Open);
            let again = self.run(runtime(), open, &code, Some(may));
            result.findings.extend(again.findings);
            result.late_ms = result.late_ms.max(again.late_ms);
            (result.ending, result.right) = (again.ending, again.right);
            result.note = again.note;
        }
        if benign && !result.right {
            result
                .findings
                .push(format!("{PROVES_NOTHING}: {}", result.note));
        }
        result
    }

    /// Runs a program of the hostile guest; whatever its end, it has one.
    pub(crate) fn hostile(&self, program: &Program) -> AttemptResult {
        let policy = self
            .fixture
            .policy()
            .clone()
            .with_source_rules(Profile::Open);
        match runtime().clone().hostile() {
            Ok(hostile) => self.run(&hostile, policy, &program.source(), None),
            Err(error) => AttemptResult::failed(error),
        }
    }

    /// Runs a script or a program. `may` says how it may end: `None` for in any way.
    pub(crate) fn run(
        &self,
        runtime: &Runtime,
        policy: Policy,
        code: &str,
        may: Option<&[String]>,
    ) -> AttemptResult {
        let (log, memory) = Log::memory();
        let gate = self.fixture.gate_under(policy, log);
        let sandbox = match gate.and_then(|gate| Sandbox::with_gate(runtime, gate)) {
            Ok(sandbox) => sandbox,
            Err(error) => return AttemptResult::failed(error),
        };
        let started = Instant::now();
        let (ended, wall, broken) = if self.in_sessions {
            self.second_call(&sandbox, code)
        } else {
            let ended = sandbox.run_blocking(self.script(code));
            (ended, started.elapsed(), None)
        };
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(error) => return AttemptResult::failed(error),
        };
        let ending = match &outcome.verdict {
            Verdict::Raised(raised) => raised.r#type.clone(),
            verdict => verdict.ending().to_owned(),
        };
        let raised = matches!(outcome.verdict, Verdict::Raised(_));
        let right = may.is_none_or(|may| {
            may.iter()
                .any(|may| *may == ending || (raised && may == "raised"))
        });
        let limits = sandbox.policy().limits();
        let late = match limits.timeout() {
            Allowance::AtMost(timeout) => wall.saturating_sub(timeout),
            Allowance::Unlimited => Duration::ZERO,
        };
        let mut findings = self.of_outcome(&outcome, limits);
        findings.extend(broken);
        if late > LATE {
            findings.push(format!("ended {} ms after its time", late.as_millis()));
        }
        findings.extend(of_log(&memory, &outcome, self.canary.secret()));
        // The next one finds nothing of this one, and works.
        let next = self
            .fixture
            .gate_under(
                sandbox.policy().clone().with_source_rules(Profile::Open),
                Log::memory().0,
            )
            .and_then(|gate| {
                Sandbox::with_gate(wardian_testkit::runtime(), gate)?.run_blocking("sum(range(10))")
            });
        match next {
            Ok(outcome) if outcome.value == Some(wardian::outcome::Value::Json(json!(45))) => {}
            Ok(outcome) => findings.push(format!("the next run did not work: {}", outcome.verdict)),
            Err(error) => findings.push(format!("the next run did not start: {error}")),
        }
        let note = match &outcome.verdict {
            Verdict::Raised(raised) => format!("{}: {}", raised.r#type, raised.message),
            verdict => format!("{verdict}"),
        };
        AttemptResult {
            ending,
            right,
            findings,
            late_ms: u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
            note: note.chars().take(200).collect(),
        }
    }

    /// Plays a payload as the second call of a session. Returns how it ended, the time that it
    /// took, and what is wrong with the session after it.
    fn second_call(
        &self,
        sandbox: &Sandbox,
        code: &str,
    ) -> (Result<Outcome, Error>, Duration, Option<String>) {
        /// A text that a payload hardly has.
        const FIRST: &str = "first_call = 'of the session'";
        let session = sandbox.session(SessionOptions::default());
        // The policy may not let anything run.
        let began = matches!(session.run_blocking(FIRST), Ok(outcome) if outcome.success());
        let started = Instant::now();
        let ended = session.run_blocking(self.script(code));
        let wall = started.elapsed();
        let is_undone = matches!(
            ended.as_ref().map(|outcome| &outcome.verdict),
            Ok(Verdict::Limit { .. } | Verdict::Crashed { .. } | Verdict::Rejected { .. })
        );
        let broken = (began && is_undone).then(|| {
            let look = session.run_blocking("first_call");
            let is_there = matches!(&look, Ok(outcome) if outcome.success());
            (!is_there).then(|| format!("the session is not as before: {look:?}"))
        });
        (ended, wall, broken.flatten())
    }

    /// A script that knows what there is.
    pub(crate) fn script(&self, code: &str) -> Script {
        let canary = self
            .canary
            .outside()
            .join("canary.txt")
            .display()
            .to_string();
        let mut script = Script::new(code)
            .input("CANARY", canary)
            .input("PORT", self.canary.port().unwrap_or(0));
        let write = self.write.as_ref().map(|(guest, _)| guest);
        // DIR is one that may be read, and written to where the policy grants that of any.
        for (name, directory) in [
            ("READ", self.read.as_ref()),
            ("WRITE", write),
            ("DIR", write.or(self.read.as_ref())),
        ] {
            if let Some(directory) = directory {
                script = script.input(name, directory.clone());
            }
        }
        if let Some(work) = self.fixture.policy().work() {
            script = script.input("WORK", work.to_string());
        }
        script
    }

    fn of_outcome(&self, outcome: &Outcome, limits: &Limits) -> Vec<String> {
        let mut findings = Vec::new();
        let shown = outcome.json().to_string();
        for (secret, what) in [
            (self.canary.secret(), "the canary"),
            (SECRET, "a tool's secret"),
        ] {
            if shown.contains(secret) {
                findings.push(format!("has seen {what}"));
            }
        }
        let granted = self.fixture.path().join("grant-").display().to_string();
        if shown.contains(&granted) {
            findings.push("has seen where a granted directory lies on the host".to_owned());
        }
        let said = [
            outcome.stdout.text().into_owned(),
            outcome
                .json()
                .get("value")
                .map(Value::to_string)
                .unwrap_or_default(),
        ];
        if let Some(said) = said.iter().find(|said| said.contains(ESCAPED)) {
            let said: String = said.chars().take(300).collect();
            findings.push(said.trim().to_owned());
        }
        findings.extend(of_files(&outcome.files, self.canary.secret()));
        let usage = &outcome.usage;
        let files = outcome.files.iter();
        for (limit, used, spare) in [
            (
                Limit::WorkSize,
                files.map(|file| file.bytes.len() as u64).sum(),
                0,
            ),
            (Limit::Displays, outcome.displays.len() as u64, 0),
            (
                Limit::DisplayBytes,
                outcome
                    .displays
                    .iter()
                    .map(|display| display.size_bytes() as u64)
                    .sum(),
                0,
            ),
            (Limit::WorkFiles, outcome.files.len() as u64, 0),
            (Limit::Memory, usage.memory_peak_bytes, 0),
            (Limit::BytesWritten, usage.bytes_written, 0),
            (Limit::FilesCreated, usage.files_created, 0),
            (Limit::ToolCalls, usage.tool_calls, 1),
            (Limit::Stdout, outcome.stdout.bytes.len() as u64, MARK_BYTES),
            (Limit::Stderr, outcome.stderr.bytes.len() as u64, MARK_BYTES),
        ] {
            let most = limits.get(limit).or_max();
            if used > most.saturating_add(spare) {
                findings.push(format!("{} is {most}, and {used} were used", limit.key()));
            }
        }
        if let Some((_, directory)) = &self.write {
            let lies = size(directory);
            let most = limits.get(Limit::BytesWritten).or_max();
            if lies > most.saturating_add(1 << 20) {
                findings.push(format!("has written {lies} bytes, of {most} allowed"));
            }
        }
        findings
    }

    /// The policy decides on a URL.
    fn url(&self, url: &str, benign: bool) -> AttemptResult {
        let policy = self.fixture.policy();
        let url = url.replace("{host}", &allowed_host(policy).unwrap_or_default());
        let allowed = policy.check(Action::HttpRequest, &url).allowed();
        let finding = match (benign, allowed) {
            (true, false) => Some(format!("{url} {PROVES_NOTHING}")),
            (false, true) => Some(format!("{url:?} is allowed")),
            _ => None,
        };
        AttemptResult::plain(
            if allowed { "allowed" } else { "refused" },
            finding.into_iter().collect(),
        )
    }

    /// `http_request` asks for a URL whose host has this address, at which a redirect may be.
    fn fetch(&self, row: &Row, payload: &str, benign: bool) -> AttemptResult {
        let mut words = payload.split(' ');
        let url = self.ports(words.next().unwrap_or_default());
        let address: IpAddr = match words.next().unwrap_or_default().parse() {
            Ok(address) => address,
            Err(error) => return AttemptResult::failed(error),
        };
        let allowed = || -> Result<Policy, Box<dyn std::error::Error>> {
            let port = self.canary.port()?;
            Ok(self
                .fixture
                .policy()
                .clone()
                .with_domain(&format!("http://canary.wardian.test:{port}"))?
                .with_domain(&format!(
                    "http://served.wardian.test:{}",
                    self.served.port()
                ))?)
        };
        // A policy that allows every host allows these.
        let policy = allowed().unwrap_or_else(|_| self.fixture.policy().clone());
        let tool = match http_request_with(&policy, Arc::new(Everything(address))) {
            Ok(tool) => tool,
            Err(error) => return AttemptResult::failed(error),
        };
        let (log, memory) = Log::memory();
        let code = format!(
            "from wardian import tools\ntools.http_request({})",
            json!(url)
        );
        if let Some(to) = words.next() {
            self.served.redirect(self.ports(to));
        }
        let others = self
            .fixture
            .tools()
            .filter(|other| other.name() != tool.name())
            .cloned();
        let tools: Vec<_> = others.chain([tool.clone()]).collect();
        let outcome = Gate::new(policy.with_source_rules(Profile::Open))
            .and_then(|gate| gate.with_tools(tools))
            .and_then(|gate| Sandbox::with_gate(runtime(), gate.with_audit(log)?))
            .and_then(|sandbox| sandbox.run_blocking(code));
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return AttemptResult::failed(error),
        };
        let mut findings = of_log(&memory, &outcome, self.canary.secret());
        let note = outcome.verdict.to_string();
        let (ending, right) = match &outcome.verdict {
            Verdict::Raised(raised) => (
                raised.r#type.clone(),
                !benign && row.may.contains(&raised.r#type),
            ),
            verdict => (verdict.ending().to_owned(), benign),
        };
        if (ending == "completed") != benign {
            findings.push(if benign {
                format!("{PROVES_NOTHING}: {note}")
            } else {
                format!("{url} was fetched")
            });
        }
        AttemptResult {
            ending,
            right,
            findings,
            note,
            ..AttemptResult::default()
        }
    }

    fn ports(&self, text: &str) -> String {
        text.replace("{port}", &self.canary.port().unwrap_or(0).to_string())
            .replace("{served}", &self.served.port().to_string())
    }
}

/// These limits, so narrow that a run ends soon.
pub(crate) fn narrow(
    limits: &Limits,
    fuel: u64,
    timeout: Duration,
    tool_wait: Duration,
) -> Result<Limits, wardian::policy::LimitError> {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut narrowed = limits.clone();
    for (limit, most) in [
        (Limit::Fuel, fuel),
        (Limit::Timeout, nanoseconds(timeout)),
        (Limit::Memory, Limit::Memory.default_amount()),
        (Limit::ToolWait, nanoseconds(tool_wait)),
        (Limit::Records, 5_000),
    ] {
        let most = limits.get(limit).or_max().min(most);
        narrowed = narrowed.with(limit, Allowance::AtMost(most))?;
    }
    Ok(narrowed)
}

/// Lists what is wrong with the files that came out.
fn of_files(files: &[OutputFile], secret: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        let leads_out = |part: Component| !matches!(part, Component::Normal(_));
        let name = Path::new(&file.name);
        if file.name.is_empty() || name.components().any(leads_out) {
            findings.push(format!("a file has come out as {:?}", file.name));
        }
        if file
            .bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes())
        {
            findings.push(format!("the canary has come out in {:?}", file.name));
        }
    }
    findings
}

/// Checks what has to be true of every record.
fn of_log(memory: &Memory, outcome: &Outcome, secret: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let text = memory.text();
    match verify(text.as_bytes()) {
        Ok(verified) if verified.open_runs.is_empty() && verified.open_calls.is_empty() => {}
        Ok(_) => findings.push("the log has a run or a call without an end".to_owned()),
        Err(error) => findings.push(format!("the log does not hold: {error}")),
    }
    let records = memory.records();
    if records.len() != text.lines().count()
        || text.chars().any(|char| char.is_control() && char != '\n')
    {
        findings.push("the log has a line that is not a record".to_owned());
    }
    let of = |event: &str| {
        let own = records
            .iter()
            .filter(|record| record["run"] == outcome.run_id);
        let named = own.filter(|record| record["event"] == event);
        named.collect::<Vec<&Value>>()
    };
    let (started, finished) = (of("run_started"), of("run_finished"));
    let same = finished
        .iter()
        .all(|end| end["verdict"] == outcome.verdict.name());
    if started.len() != 1 || finished.len() != 1 || !same {
        findings.push("the log does not have the run's start and its end, once".to_owned());
    }
    if text.contains(secret) || text.contains(SECRET) {
        findings.push("the log has a secret".to_owned());
    }
    findings
}

/// A payload as a whole script.
pub(crate) fn source(row: &Row, payload: &str) -> String {
    let attempt = if payload.contains("attempt(") {
        ATTEMPT
    } else {
        ""
    };
    format!("{attempt}{}\n{payload}", row.setup)
}

/// Bytes in the files beneath a directory.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) if data.is_file() => data.len(),
            _ => 0,
        })
        .sum()
}

/// Plays a name of a tool, by which its action is inferred.
fn name(row: &Row, name: &str, benign: bool) -> AttemptResult {
    let guess = Action::infer(name).map_or("refused", Action::name);
    let finding = if benign {
        (guess == "refused").then(|| format!("{name} {PROVES_NOTHING}"))
    } else {
        (!row.may.iter().any(|may| may == guess)).then(|| format!("{name} passes for {guess}"))
    };
    AttemptResult::plain(guess, finding.into_iter().collect())
}

/// A policy file has to be refused, and its twin read.
fn policy_file(text: &str, benign: bool) -> AttemptResult {
    let source = Source {
        path: Some("/srv/agent/policy.toml".into()),
        home: Some("/home/ada".into()),
        ..Source::text("policy.toml", text)
    };
    let read = Policy::parse(&source);
    let finding = match (&read, benign) {
        (Err(problems), true) => Some(format!("{PROVES_NOTHING}: {problems}")),
        (Ok(_), false) => Some("is a policy".to_owned()),
        _ => None,
    };
    let mut result = AttemptResult::plain(
        if read.is_ok() { "read" } else { "refused" },
        finding.into_iter().collect(),
    );
    if let Err(problems) = read {
        result.note = problems.to_string();
    }
    result
}

/// Every host has this address.
struct Everything(IpAddr);

impl Resolver for Everything {
    fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let address = self.0;
        Box::pin(async move { Ok(vec![address]) })
    }
}
