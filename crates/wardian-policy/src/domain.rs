//! Domains: the hosts that requests may go to.
//!
//! A URL is parsed once, by the WHATWG rules. What is decided on is the parsed value, and that
//! is what a tool then connects to.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use url::{Host, Position, Url};

use crate::Location;

/// The longest URL, in bytes.
const URL_BYTES: usize = 8192;

/// The count of times that a path is decoded: a server and what stands before it, and one more
/// each.
const DECODINGS: usize = 4;

/// The longest name that the domain name system knows, in bytes.
const HOST_BYTES: usize = 253;

/// An entry of `allowed_domains`.
///
/// | written | matches |
/// |---|---|
/// | `api.example.com` | that host by `https` on port 443 |
/// | `api.example.com:8443` | that host by `https` on that port |
/// | `http://api.example.com` | that host by `http` on port 80 |
/// | `*.example.com` | every subdomain, at any depth, not `example.com` itself |
/// | `192.0.2.7`, `[2001:db8::7]` | that address, written out in a URL |
/// | `*` | every name, by `http` and `https`, on every port; no written-out address |
#[derive(Debug, Clone)]
pub struct DomainRule {
    pattern: Pattern,
    /// With its port; `None` for all.
    service: Option<(Scheme, u16)>,
    at: Option<Location>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Subdomains(String),
    Name(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// A reason for which a text is not an entry of `allowed_domains`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// It names another scheme.
    #[error("only http and https can be granted")]
    Scheme,
    /// It says more than scheme, host and port.
    #[error("a domain is a host, with a scheme and a port if need be; it has no path and no user")]
    Extra,
    /// A star that does not stand for all subdomains.
    #[error("`*` stands alone, or in front as `*.example.com`")]
    Star,
    /// A host that is not ASCII could look like another one.
    #[error("host names are written in ASCII; write `{0}` if that is the one you mean")]
    NotAscii(String),
    /// Not a host.
    #[error("is not the name or the address of a host")]
    Host,
    /// Another entry allows the same, or a part of it.
    #[error("overlaps {0}, which is granted already")]
    Overlap(String),
    /// Not a port.
    #[error("a port is a number from 1 to 65535")]
    Port,
}

impl DomainRule {
    /// Reads an entry.
    ///
    /// # Errors
    ///
    /// [`DomainError`] if it is not one.
    pub fn new(text: &str) -> Result<Self, DomainError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some(("https", rest)) => (Some(Scheme::Https), rest),
            Some(_) => return Err(DomainError::Scheme),
            None => (None, text),
        };
        if rest.contains(['/', '\\', '?', '#', '@']) {
            return Err(DomainError::Extra);
        }
        if (scheme, rest) == (None, "*") {
            return Ok(Self {
                pattern: Pattern::Any,
                service: None,
                at: None,
            });
        }
        let scheme = scheme.unwrap_or(Scheme::Https);
        // A colon inside of brackets belongs to an IPv6 address.
        let colon = rest
            .rfind(':')
            .filter(|colon| !rest[*colon..].contains(']'));
        let (host, port) = match colon.and_then(|colon| rest.split_at_checked(colon)) {
            Some((host, port)) => {
                let port = port.strip_prefix(':').and_then(|port| port.parse().ok());
                let port = port.filter(|port| *port != 0).ok_or(DomainError::Port)?;
                (host, port)
            }
            None => (rest, scheme.port()),
        };
        let pattern = match host.strip_prefix('*') {
            Some("") => Pattern::Any,
            Some(suffix) => match plain(suffix.strip_prefix('.').ok_or(DomainError::Star)?)? {
                Host::Domain(name) => Pattern::Subdomains(name),
                _ => return Err(DomainError::Star),
            },
            None => match plain(host)? {
                Host::Domain(name) => Pattern::Name(name),
                Host::Ipv4(address) => Pattern::Address(address.into()),
                Host::Ipv6(address) => Pattern::Address(IpAddr::from(address).to_canonical()),
            },
        };
        Ok(Self {
            pattern,
            service: Some((scheme, port)),
            at: None,
        })
    }

    pub(crate) fn located(mut self, at: Option<Location>) -> Self {
        self.at = at;
        self
    }

    /// Returns its place in a policy file.
    pub fn location(&self) -> Option<&Location> {
        self.at.as_ref()
    }

    /// Does it allow everything that `other` allows?
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let host = match (&self.pattern, &other.pattern) {
            (Pattern::Any, Pattern::Address(_)) => false,
            (Pattern::Any, _) => true,
            (Pattern::Subdomains(outer), Pattern::Subdomains(inner)) => {
                inner == outer || is_subdomain(inner, outer)
            }
            (Pattern::Subdomains(outer), Pattern::Name(name)) => is_subdomain(name, outer),
            (mine, other) => mine == other,
        };
        host && (self.service.is_none() || self.service == other.service)
    }

    /// May a request be sent to this URL, as far as this entry goes?
    pub fn allows(&self, url: &Url) -> bool {
        address(url).is_ok_and(|address| self.matches(&address))
    }

    fn matches(&self, address: &Address<'_>) -> bool {
        let host = match (&self.pattern, &address.host) {
            (Pattern::Any, Host::Domain(_)) => true,
            (Pattern::Subdomains(outer), Host::Domain(name)) => is_subdomain(name, outer),
            (Pattern::Name(granted), Host::Domain(name)) => granted == name,
            (Pattern::Address(granted), Host::Ipv4(ip)) => *granted == IpAddr::from(*ip),
            (Pattern::Address(granted), Host::Ipv6(ip)) => {
                *granted == IpAddr::from(*ip).to_canonical()
            }
            _ => false,
        };
        host && self
            .service
            .is_none_or(|service| service == (address.scheme, address.port))
    }
}

/// Two rules are the same if they allow the same.
impl PartialEq for DomainRule {
    fn eq(&self, other: &Self) -> bool {
        (&self.pattern, self.service) == (&other.pattern, other.service)
    }
}

impl Eq for DomainRule {}

impl fmt::Display for DomainRule {
    /// With scheme and port, also where they were not written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match &self.pattern {
            Pattern::Any => "*".to_owned(),
            Pattern::Subdomains(name) => format!("*.{name}"),
            Pattern::Name(name) => name.clone(),
            Pattern::Address(IpAddr::V4(address)) => address.to_string(),
            Pattern::Address(IpAddr::V6(address)) => format!("[{address}]"),
        };
        match self.service {
            Some((scheme, port)) => write!(f, "{}://{host}:{port}", scheme.name()),
            None => f.write_str(&host),
        }
    }
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A host as it is written in a policy: already in the form that everything is compared in.
fn plain(host: &str) -> Result<Host, DomainError> {
    if host.contains('*') {
        return Err(DomainError::Star);
    }
    let parsed = Host::parse(host).map_err(|_| DomainError::Host)?;
    if !host.is_ascii() {
        return Err(DomainError::NotAscii(parsed.to_string()));
    }
    let canonical = match &parsed {
        Host::Domain(name) => canonical(Host::Domain(name)),
        Host::Ipv4(address) => Some(Host::Ipv4(*address)),
        Host::Ipv6(address) => Some(Host::Ipv6(*address)),
    };
    canonical
        .map(|host| host.to_owned())
        .ok_or(DomainError::Host)
}

/// The host without the dot that a full domain name may end with; `None` for what is no name.
fn canonical(host: Host<&str>) -> Option<Host<&str>> {
    let Host::Domain(name) = host else {
        return Some(host);
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let labels_are_filled = name.split('.').all(|label| !label.is_empty());
    (labels_are_filled && name.len() <= HOST_BYTES).then_some(Host::Domain(name))
}

fn is_subdomain(name: &str, of: &str) -> bool {
    name.strip_suffix(of)
        .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// The destination of a URL, on which is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address<'u> {
    scheme: Scheme,
    host: Host<&'u str>,
    port: u16,
}

/// A reason for which a text is not a URL that anything could be granted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Neither `http://` nor `https://`.
    #[error("does not start with http:// or https:// and a host")]
    Scheme,
    /// Parsers disagree about these.
    #[error("holds a space, a control character or a backslash")]
    Character,
    /// An encoded line end or NUL in its path.
    #[error("holds an encoded line end or NUL in its path")]
    Encoded,
    /// A user name or a password stands in it.
    #[error("holds a user name or a password")]
    UserInfo,
    /// It does not parse.
    #[error("is not a URL")]
    Syntax,
    /// Its host is not one.
    #[error("names no host that can be resolved")]
    Host,
    /// It is too long.
    #[error("is longer than 8192 bytes")]
    TooLong,
}

/// Parses a URL that is to be decided on, and refuses what parsers disagree about.
///
/// The result is what has to be connected to: parsing again, or asking another parser, could
/// lead elsewhere.
///
/// # Errors
///
/// [`UrlError`] if nothing could be granted for it.
pub fn parse_url(text: impl AsRef<[u8]>) -> Result<Url, UrlError> {
    let text = text.as_ref();
    if text.len() > URL_BYTES {
        return Err(UrlError::TooLong);
    }
    let text = std::str::from_utf8(text).map_err(|_| UrlError::Syntax)?;
    let disputed = |byte: u8| byte.is_ascii_control() || byte == b' ' || byte == b'\\';
    if text.bytes().any(disputed) {
        return Err(UrlError::Character);
    }
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
    if !["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Err(UrlError::Scheme);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err(UrlError::Scheme);
    }
    if authority.contains('@') {
        return Err(UrlError::UserInfo);
    }
    let url = Url::parse(text).map_err(|_| UrlError::Syntax)?;
    let after_percent = url.path().split('%').skip(1);
    let mut codes = after_percent.filter_map(|rest| rest.get(..2));
    if codes.any(|code| ["00", "0a", "0A", "0d", "0D"].contains(&code)) {
        return Err(UrlError::Encoded);
    }
    address(&url)?;
    Ok(url)
}

/// A URL as a server could read it that decodes more than it should: percent-encodings are decoded
/// until there are none left, `\` is `/`, parameters of segments (`;x`) are left out, `.`, `..` and
/// empty segments are resolved. `None` if there is no end to decoding, or what comes out is no
/// text.
pub fn decoded_url(url: &Url) -> Option<String> {
    let mut path = url.path().to_owned();
    let mut rounds = 0;
    loop {
        let decoded = percent_decode_str(&path).decode_utf8().ok()?.into_owned();
        if decoded == path {
            break;
        }
        rounds += 1;
        if rounds > DECODINGS {
            return None;
        }
        path = decoded;
    }
    if path.contains(char::is_control) {
        return None;
    }
    let mut names = Vec::new();
    let mut is_directory = false;
    for segment in path.split(['/', '\\']) {
        let name = segment.split(';').next().unwrap_or_default();
        is_directory = ["", ".", ".."].contains(&name);
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    let end = if is_directory && !names.is_empty() {
        "/"
    } else {
        ""
    };
    let (before, after) = (&url[..Position::BeforePath], &url[Position::AfterPath..]);
    Some(format!("{before}/{}{end}{after}", names.join("/")))
}

/// Returns the destination of a parsed URL.
fn address(url: &Url) -> Result<Address<'_>, UrlError> {
    let scheme = match url.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(UrlError::Scheme),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::UserInfo);
    }
    Ok(Address {
        scheme,
        host: url.host().and_then(canonical).ok_or(UrlError::Host)?,
        port: url.port().unwrap_or(scheme.port()),
    })
}

/// The entries of `allowed_domains`, found by name: a decision does not take longer with every
/// entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Domains {
    rules: Vec<DomainRule>,
    /// By [`key`].
    index: HashMap<String, Vec<usize>>,
}

/// Returns the key by which a rule is found: all that could match a host have one of few keys.
fn key(rule: &DomainRule) -> &str {
    match &rule.pattern {
        Pattern::Name(name) | Pattern::Subdomains(name) => name,
        Pattern::Any => "*",
        Pattern::Address(_) => "",
    }
}

impl Domains {
    /// Adds a rule, unless another one already covers it or is covered by it.
    pub(crate) fn add(&mut self, rule: DomainRule) -> Result<(), DomainError> {
        let other = self
            .rules
            .iter()
            .find(|other| other.covers(&rule) || rule.covers(other));
        if let Some(other) = other {
            return Err(DomainError::Overlap(other.to_string()));
        }
        let same_key = self.index.entry(key(&rule).to_owned()).or_default();
        same_key.push(self.rules.len());
        self.rules.push(rule);
        Ok(())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &DomainRule> {
        self.rules.iter()
    }

    /// The rule that allows this URL.
    pub(crate) fn find(&self, url: &Url) -> Result<Option<&DomainRule>, UrlError> {
        let address = address(url)?;
        let host = match address.host {
            Host::Domain(name) => name,
            _ => "",
        };
        let names = std::iter::successors(Some(host), |name| {
            name.split_once('.').map(|(_, parent)| parent)
        });
        let found = names
            .chain(["*"])
            .filter_map(|name| self.index.get(name))
            .flatten()
            .filter_map(|at| self.rules.get(*at))
            .find(|rule| rule.matches(&address));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(rules: &[&str]) -> Domains {
        let mut domains = Domains::default();
        for rule in rules {
            domains.add(DomainRule::new(rule).unwrap()).unwrap();
        }
        domains
    }

    /// Is the URL allowed by these rules?
    fn check(rules: &[&str], url: &str) -> bool {
        match parse_url(url) {
            Ok(url) => domains(rules).find(&url).unwrap().is_some(),
            Err(_) => false,
        }
    }

    #[track_caller]
    fn allows(rules: &[&str], url: &str) {
        assert!(check(rules, url), "{rules:?} should allow {url:?}");
    }

    #[track_caller]
    fn refuses(rules: &[&str], urls: &[&str]) {
        for url in urls {
            assert!(!check(rules, url), "{rules:?} should refuse {url:?}");
        }
    }

    const API: &[&str] = &["api.example.com"];

    /// REVIEW A 3.
    #[test]
    fn a_url_as_a_lenient_server_reads_it() {
        for (path, read) in [
            ("/v1/a%20b", Some("/v1/a b")),
            ("/v1/..%2fadmin", Some("/admin")),
            ("/v1/..%5cadmin", Some("/admin")),
            ("/v1/%2e%2e/admin", Some("/admin")),
            ("/v1/..%252fadmin", Some("/admin")),
            ("/v1/..;/admin", Some("/admin")),
            ("/v1//x/./", Some("/v1/x/")),
            ("/v1/orders%2F7?q=..%2f", Some("/v1/orders/7?q=..%2f")),
            ("/v1/%01", None),
            ("/v1/%ff", None),
            ("/", Some("/")),
        ] {
            let url = parse_url(format!("https://example.com{path}")).unwrap();
            let read = read.map(|read| format!("https://example.com{read}"));
            assert_eq!(decoded_url(&url), read, "{path}");
        }
    }

    #[test]
    fn url_01_userinfo() {
        allows(API, "https://api.example.com/");
        refuses(
            API,
            &[
                "https://api.example.com@evil.com/",
                "https://api.example.com:443@evil.com",
                "https://evil.com:x@api.example.com",
                "https://@api.example.com/",
                "https://:@api.example.com/",
            ],
        );
    }

    #[test]
    fn url_02_suffix_and_prefix() {
        refuses(
            API,
            &[
                "https://evilapi.example.com",
                "https://api.example.com.evil.com",
                "https://api.example.comevil",
                "https://api-example.com",
                "https://example.com",
            ],
        );
        let all = &["*.example.com"];
        allows(all, "https://a.example.com");
        allows(all, "https://a.b.example.com");
        refuses(
            all,
            &[
                "https://example.com",
                "https://xexample.com",
                "https://.example.com",
                "https://a.example.com.evil.com",
            ],
        );
    }

    #[test]
    fn url_03_backslash_and_url_04_control_characters() {
        refuses(
            &["*", "127.0.0.1"],
            &[
                "http://127.0.0.1:6666\\@1.1.1.1",
                "https:/\\evil.com",
                "https:\\\\evil.com",
                "http://a\\.b@c",
                "ht\ntps://example.com",
                "https://exa\tmple.com",
                " https://example.com",
                "\0https://example.com",
                "https://example.com/\0",
                "https://example.com/ x",
                "https://example.com/%0d%0aHost:evil",
                "https://example.com/%00",
                "https://exa%0dmple.com/",
            ],
        );
        allows(&["*"], "https://example.com/a?text=two%0Alines");
    }

    #[test]
    fn url_05_fragment_and_query() {
        allows(API, "https://api.example.com#@evil.com");
        allows(API, "https://api.example.com?@evil.com");
        refuses(
            API,
            &[
                "https://evil.com?@api.example.com",
                "https://evil.com#@api.example.com",
                "http://1.1.1.1 &@2.2.2.2# @3.3.3.3/",
            ],
        );
    }

    #[test]
    fn url_06_forms_of_ipv4() {
        let forms = [
            "https://2130706433",
            "https://0x7f000001",
            "https://0177.0.0.1",
            "https://127.1",
            "https://127.0.0.1.",
            "https://１２７.０.０.１",
            "https://127。0。0。1",
            "https://①②⑦.⓪.⓪.①",
        ];
        refuses(&["*", "*.1", "0.0.0.1"], &forms[..0]);
        refuses(&["*"], &forms);
        refuses(
            &["*"],
            &["https://0", "https://127.0.0.1", "https://256.1.1.1"],
        );
        for form in forms {
            allows(&["127.0.0.1"], form);
        }
    }

    #[test]
    fn url_07_forms_of_ipv6_and_url_08_metadata_addresses() {
        let all = &["*"];
        refuses(
            all,
            &[
                "https://[::1]",
                "https://[::]",
                "https://[::ffff:127.0.0.1]",
                "https://[64:ff9b::7f00:1]",
                "https://[2002:7f00:1::]",
                "https://[fe80::1%25eth0]",
                "https://[0:0:0:0:0:ffff:127.0.0.1]",
                "http://169.254.169.254/latest/meta-data",
                "http://2852039166/",
            ],
        );
        refuses(&["127.0.0.2"], &["https://[::ffff:127.0.0.1]"]);
        allows(&["127.0.0.1"], "https://[::ffff:7f00:1]");
        allows(&["[::ffff:127.0.0.1]"], "https://127.0.0.1");
        allows(&["[2001:db8::7]:8443"], "https://[2001:DB8:0::7]:8443/x");
    }

    #[test]
    fn url_11_homographs() {
        refuses(
            API,
            &[
                "https://\u{430}pi.example.com",
                "https://xn--pi-8cd.example.com",
                "https://api.example\u{2100}.com",
                "https://xn--api-.example.com",
            ],
        );
        // What Unicode itself maps to the same name is the same host.
        allows(API, "https://ⓐⓟⓘ.example.com");
        allows(API, "https://ap\u{ad}i.example.com");
        assert_eq!(
            DomainRule::new("\u{430}pi.example.com"),
            Err(DomainError::NotAscii("xn--pi-6kc.example.com".to_owned()))
        );
        allows(&["xn--fa-hia.de"], "https://faß.de");
        refuses(&["fass.de"], &["https://faß.de"]);
    }

    #[test]
    fn url_12_case_and_dots() {
        allows(API, "https://API.EXAMPLE.COM/");
        allows(API, "https://api.example.com./");
        allows(&["API.Example.COM."], "https://api.example.com/");
        let long = format!("https://{}com/", "a.".repeat(126));
        refuses(
            &["*"],
            &[
                "https://api.example.com../",
                "https://.api.example.com/",
                "https://api..example.com/",
                "https:///",
                "https://",
                "https://:443/",
                &long,
            ],
        );
    }

    #[test]
    fn url_13_ports() {
        for url in [
            "https://api.example.com:443",
            "https://api.example.com:00443",
        ] {
            allows(API, url);
        }
        refuses(
            API,
            &[
                "https://api.example.com:0",
                "https://api.example.com:22",
                "https://api.example.com:65536",
                "https://api.example.com: 443",
                "https://api.example.com:४४३",
            ],
        );
        allows(&["api.example.com:8443"], "https://api.example.com:8443");
        refuses(&["api.example.com:8443"], &["https://api.example.com"]);
    }

    #[test]
    fn url_14_schemes() {
        allows(API, "HTTPS://api.example.com");
        allows(&["http://api.example.com"], "http://api.example.com");
        refuses(&["http://api.example.com"], &["https://api.example.com"]);
        refuses(
            &["*"],
            &[
                "file:///etc/passwd",
                "gopher://example.com",
                "ftp://example.com",
                "ws://example.com",
                "jar:https://example.com!/x",
                "data:text/html,x",
                "blob:https://example.com/x",
                "javascript:alert(1)",
                "view-source:https://example.com",
                "https:example.com",
                "https:/example.com",
                "https:///example.com",
                "//example.com",
                "example.com",
                "",
            ],
        );
        refuses(API, &["http://api.example.com"]);
    }

    #[test]
    fn url_15_percent_signs() {
        allows(API, "https://api%2eexample%2ecom");
        allows(API, "https://%61pi.example.com");
        refuses(
            API,
            &[
                "https://api%252eexample.com",
                "https://api%00.example.com",
                "https://api%c0%aeexample.com",
                "https://api.example.com%2f.evil.com",
                "https://api.example.com%40evil.com",
            ],
        );
    }

    /// URL-18: whatever Web Platform Tests has, the host that is decided on is the host that the
    /// test expects to be connected to.
    #[test]
    fn url_18_the_whatwg_corpus() {
        let corpus: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../tests/data/urltestdata.json")).unwrap();
        let cases: Vec<_> = corpus.iter().filter(|case| case.is_object()).collect();
        assert_eq!(cases.len(), 819);
        let mut decided = 0;
        for case in cases {
            let Some(input) = case["input"].as_str() else {
                panic!("{case}");
            };
            let Ok(url) = parse_url(input) else { continue };
            assert!(case["failure"].is_null(), "{input:?} is no URL");
            let expected = |part: &str| case[part].as_str().unwrap_or_default().to_owned();
            assert_eq!(
                format!("{}:", url.scheme()),
                expected("protocol"),
                "{input:?}"
            );
            assert_eq!(
                url.host_str().unwrap_or_default(),
                expected("hostname"),
                "{input:?}"
            );
            let (hostname, port) = (expected("hostname"), expected("port"));
            let scheme = expected("protocol");
            let rule = match port.as_str() {
                "" => format!("{scheme}//{hostname}"),
                port => format!("{scheme}//{hostname}:{port}"),
            };
            let other = domains(&["other.example", "*.other.example", "http://192.0.2.1"]);
            assert!(other.find(&url).unwrap().is_none(), "{input:?}");
            match DomainRule::new(&rule) {
                Ok(rule) => {
                    let mut domains = Domains::default();
                    domains.add(rule).unwrap();
                    assert!(domains.find(&url).unwrap().is_some(), "{input:?}");
                }
                // Nobody can grant these.
                Err(error) => assert!(port == "0" || hostname.contains('*'), "{input:?}: {error}"),
            }
            decided += 1;
        }
        assert!(decided > 100, "{decided} cases were decided on");
    }

    #[test]
    fn what_is_not_a_rule() {
        for (text, error) in [
            ("ftp://example.com", DomainError::Scheme),
            ("https://example.com/path", DomainError::Extra),
            ("user@example.com", DomainError::Extra),
            ("a*.example.com", DomainError::Star),
            ("*example.com", DomainError::Star),
            ("*.*.example.com", DomainError::Star),
            ("*.127.0.0.1", DomainError::Star),
            ("example.com:0", DomainError::Port),
            ("example.com:http", DomainError::Port),
            ("example.com:65536", DomainError::Port),
            ("", DomainError::Host),
            (".", DomainError::Host),
            ("a b", DomainError::Host),
        ] {
            assert_eq!(DomainRule::new(text), Err(error), "{text}");
        }
    }

    #[test]
    fn rules_cover_what_they_allow() {
        for (outer, inner, covers) in [
            ("*", "*.example.com", true),
            ("*", "http://example.com:8080", true),
            ("*", "192.0.2.1", false),
            ("https://*", "http://example.com", false),
            ("https://*", "example.com", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "*.a.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.a.example.com", "*.example.com", false),
            ("example.com", "example.com:443", true),
            ("example.com", "example.com:8443", false),
            ("a.example.com", "*", false),
        ] {
            let [outer, inner] = [outer, inner].map(|text| DomainRule::new(text).unwrap());
            assert_eq!(outer.covers(&inner), covers, "{outer} {inner}");
        }
        let mut domains = domains(&["*.example.com"]);
        assert!(
            domains
                .add(DomainRule::new("a.example.com").unwrap())
                .is_err()
        );
        assert!(domains.add(DomainRule::new("example.com").unwrap()).is_ok());
        assert!(domains.add(DomainRule::new("*").unwrap()).is_err());
    }
}
