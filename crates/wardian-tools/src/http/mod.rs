//! Requests to web servers: to granted domains, at addresses that were checked.
//!
//! Every hop, the first and each redirect, goes the same way: the URL is parsed once, the policy
//! decides on it, its host is looked up once, all its addresses are checked, and the connection
//! goes to those and no others.

mod addresses;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytesize::ByteSize;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use memchr::memmem;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url, redirect};
use rustls::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wardian::{
    Call, Policy, Tool, ToolError,
    policy::{Access, Action, DomainRule, parse_url},
};

use crate::config::{SecretSource, ToolConfig};
use crate::{ConfigError, Secret, tls};

/// Headers that say where a request goes, how long it is, what a proxy does with it, or which form
/// and which part of the answer comes back. The host writes them itself.
const RESERVED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "if-range",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// The most bytes that are kept of an answer's headers.
const HEADERS_BYTES: usize = 16 << 10;

/// `[tools.http_request.config]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// The longest body of an answer: `256KiB`.
    max_bytes: ByteSize,
    /// The most redirects that are followed.
    redirects: usize,
    /// Private networks that may be connected to: `10.1.0.0/16`. Others are refused whatever a name
    /// resolves to.
    private_networks: Vec<IpNet>,
    /// Credentials that are attached to requests to a domain.
    credentials: Vec<CredentialConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_bytes: ByteSize::kib(512),
            redirects: 5,
            private_networks: Vec::new(),
            credentials: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialConfig {
    /// As an entry of `allowed_domains`.
    domain: String,
    /// The header that carries it.
    #[serde(default = "authorization")]
    header: String,
    /// Text in front of the secret.
    #[serde(default = "bearer")]
    prefix: String,
    secret: SecretSource,
}

fn authorization() -> String {
    "authorization".to_owned()
}

fn bearer() -> String {
    "Bearer ".to_owned()
}

struct Credential {
    domain: DomainRule,
    header: HeaderName,
    value: HeaderValue,
    secret: Secret,
}

/// Looks up the addresses of a host.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of the host of this name.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// Sends a request to a web server, and returns its answer. Redirects are followed.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Request {
    /// An absolute URL, by http or https.
    url: String,
    /// Method.
    #[serde(default)]
    method: Verb,
    /// More headers.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Text to send.
    body: Option<String>,
    /// JSON to send.
    json: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl From<Verb> for Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Get => Self::GET,
            Verb::Head => Self::HEAD,
            Verb::Post => Self::POST,
            Verb::Put => Self::PUT,
            Verb::Patch => Self::PATCH,
            Verb::Delete => Self::DELETE,
        }
    }
}

/// The answer of a server.
#[derive(Serialize, JsonSchema)]
struct Reply {
    /// The status: 200.
    status: u16,
    /// The URL that the answer came from in the end.
    url: String,
    /// Its headers, by their names in lower case.
    headers: BTreeMap<String, String>,
    /// Its body, if that is text.
    body: Option<String>,
    /// Its body in base64, if it is not.
    body_base64: Option<String>,
}

pub(crate) fn http_request(setting: ToolConfig<'_>) -> Result<Tool, ConfigError> {
    resolved_by(setting, None)
}

/// The tool `http_request`, which looks hosts up by `resolver`.
///
/// # Errors
///
/// As [`ready`](crate::ready).
pub fn http_request_with(
    policy: &Policy,
    resolver: Arc<dyn Resolver>,
) -> Result<Tool, ConfigError> {
    let setting = ToolConfig {
        policy,
        tool: "http_request",
        with_secrets: true,
    };
    resolved_by(setting, Some(resolver))
}

fn resolved_by(
    setting: ToolConfig<'_>,
    resolver: Option<Arc<dyn Resolver>>,
) -> Result<Tool, ConfigError> {
    let config: Config = setting.config()?;
    let wrong = |key: &str, why: String| setting.wrong(key, why);
    let mut credentials = Vec::new();
    let mut secrets = Vec::new();
    let mut files = Vec::new();
    for (i, credential) in config.credentials.iter().enumerate() {
        let key = |part: &str| format!("credentials[{i}].{part}");
        let secret: Secret = setting.secret(&credential.secret, &key("secret"))?;
        let domain = DomainRule::new(&credential.domain)
            .map_err(|error| wrong(&key("domain"), error.to_string()))?;
        let header = HeaderName::try_from(&credential.header)
            .map_err(|error| wrong(&key("header"), error.to_string()))?;
        let mut value = HeaderValue::try_from(format!("{}{}", credential.prefix, secret.reveal()))
            .map_err(|_| wrong(&key("secret"), "it can't stand in a header".to_owned()))?;
        value.set_sensitive(true);
        files.extend(credential.secret.file().map(Path::to_owned));
        credentials.push(Credential {
            domain,
            header,
            value,
            secret: secret.clone(),
        });
        secrets.push(secret);
    }
    let sender = Arc::new(Sender {
        tls: tls::client().map_err(|why| wrong("", why))?,
        config,
        credentials,
        resolver,
    });
    let handler = move |request: Request, call: Call| {
        let sender = sender.clone();
        async move { sender.send(request, &call).await }
    };
    let tool = Tool::new(setting.tool, Action::HttpRequest, handler)
        .and_then(|tool| tool.resource("url"))
        .map_err(|error| setting.undeclared(error))?;
    let hiding = |tool: Tool, secret: &Secret| tool.with_secret(secret.reveal());
    let apart = |tool: Tool, file| tool.relies_on(file, Access::READ_WRITE);
    let tool = secrets.iter().fold(tool, hiding);
    Ok(files.into_iter().fold(tool, apart))
}

struct Sender {
    config: Config,
    credentials: Vec<Credential>,
    /// The resolver of hosts; the system's if there is none.
    resolver: Option<Arc<dyn Resolver>>,
    tls: ClientConfig,
}

/// The request of one hop.
struct Hop {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Sender {
    async fn send(&self, request: Request, call: &Call) -> Result<Reply, ToolError> {
        let mut headers = headers(&request.headers)?;
        let body = match (request.body, request.json) {
            (Some(_), Some(_)) => {
                return Err(ToolError::argument("json", "there is a body already"));
            }
            (Some(body), None) => Some(body.into_bytes()),
            (None, Some(json)) => {
                let name = reqwest::header::CONTENT_TYPE;
                let json_type = HeaderValue::from_static("application/json");
                headers.entry(name).or_insert(json_type);
                Some(json.to_string().into_bytes())
            }
            (None, None) => None,
        };
        // The gate has decided on this text, by the same parser.
        let url = parse_url(&request.url)
            .map_err(|error| ToolError::argument("url", format!("the URL {error}")))?;
        let mut hop = Hop {
            url,
            method: request.method.into(),
            headers,
            body,
        };
        let mut sent = Vec::new();
        for _ in 0..=self.config.redirects {
            let response = self.fetch(&hop, call, &mut sent).await?;
            match redirected(&response)? {
                None => return self.answer(response, call, &sent).await,
                Some(location) => hop = next(hop, response.status(), &location)?,
            }
        }
        Err(ToolError::failed(format!(
            "more than {} redirects",
            self.config.redirects
        )))
    }

    /// Sends one request. The secrets that go with it are added to `sent`.
    async fn fetch<'s>(
        &'s self,
        hop: &Hop,
        call: &Call,
        sent: &mut Vec<&'s Secret>,
    ) -> Result<Response, ToolError> {
        let url = &hop.url;
        call.check_resource(url.as_str())?;
        call.check_argument("method", &hop.method.as_str().into())?;
        let mut client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .tls_backend_preconfigured(self.tls.clone());
        // An address that is written out is one that the policy lists.
        if let Some(name) = url.domain() {
            let addresses = self.checked(url, name, call).await?;
            client = client.resolve_to_addrs(name, &addresses);
        }
        let client = client.build().map_err(|error| map_send_error(&error))?;
        let mut headers = hop.headers.clone();
        for credential in self.credentials.iter().filter(|one| one.domain.allows(url)) {
            headers.insert(credential.header.clone(), credential.value.clone());
            sent.push(&credential.secret);
        }
        let mut request = client
            .request(hop.method.clone(), url.clone())
            .headers(headers);
        if let Some(body) = &hop.body {
            request = request.body(body.clone());
        }
        request.send().await.map_err(|error| map_send_error(&error))
    }

    /// The addresses of a host, if it can be connected to at all of them.
    async fn checked(
        &self,
        url: &Url,
        name: &str,
        call: &Call,
    ) -> Result<Vec<SocketAddr>, ToolError> {
        let found = match &self.resolver {
            Some(resolver) => resolver.resolve(name).await,
            None => {
                let name = name.to_owned();
                let found = call.blocking(move || (name, 0).to_socket_addrs()).await?;
                found.map(|found| found.map(|address| address.ip()).collect())
            }
        };
        let found = found.map_err(|_| ToolError::failed(format!("{name} has no address")))?;
        let listed = |ip: IpAddr| {
            self.config
                .private_networks
                .iter()
                .any(|network| network.contains(&ip))
        };
        for ip in &found {
            let ip = ip.to_canonical();
            if !addresses::is_public(ip) && !listed(ip) {
                let rule = "tools.http_request.config.private_networks";
                // The script is not told which: it is an address of the host's network.
                let message =
                    format!("http_request may not connect to {name}: its address is private");
                let reason = format!("{name} is at {ip}, which is not public");
                return Err(deny(url, rule, reason, message));
            }
        }
        if found.is_empty() {
            Err(ToolError::failed(format!("{name} has no address")))
        } else {
            // The port is the URL's.
            Ok(found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect())
        }
    }

    /// Reads an answer, in which no secret that was `sent` comes back, whole or in part.
    async fn answer(
        &self,
        mut response: Response,
        call: &Call,
        sent: &[&Secret],
    ) -> Result<Reply, ToolError> {
        let max = usize::try_from(self.config.max_bytes.as_u64()).unwrap_or(usize::MAX);
        // What is longer than a reply could not be handed over.
        let most = max.min(call.reply_bytes());
        let too_long = || ToolError::failed(format!("the answer is longer than {most} bytes"));
        let encoded = response.headers().get(CONTENT_ENCODING);
        if encoded.is_some_and(|encoding| encoding != "identity") && !sent.is_empty() {
            return Err(withheld("is encoded, although that was not asked for"));
        }
        let mut headers = BTreeMap::new();
        let mut kept = 0;
        for (name, value) in response.headers() {
            kept += name.as_str().len() + value.len();
            if kept > HEADERS_BYTES {
                return Err(ToolError::failed("the answer's headers are too long"));
            }
            let value = String::from_utf8_lossy(value.as_bytes());
            let known: &mut String = headers.entry(name.to_string()).or_default();
            known.push_str(if known.is_empty() { "" } else { ", " });
            known.push_str(&value);
        }
        let (status, url) = (response.status().as_u16(), response.url().to_string());
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| map_send_error(&error))?
        {
            if body.len() + chunk.len() > most {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        let is_text = str::from_utf8(&body).is_ok();
        let said = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"));
        let said = [
            said.collect::<String>().into_bytes(),
            url.clone().into_bytes(),
        ]
        .concat();
        // Whole ones are taken out of text by the gate.
        for (bytes, is_text) in [(&body, is_text), (&said, true)] {
            for secret in sent {
                if holds_part(bytes, secret.reveal().as_bytes(), is_text) {
                    return Err(withheld("holds a part of it"));
                }
            }
        }
        let (body, body_base64) = match String::from_utf8(body) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(BASE64_STANDARD.encode(error.as_bytes()))),
        };
        Ok(Reply {
            status,
            url,
            headers,
            body,
            body_base64,
        })
    }
}

/// The shortest part of a secret that is looked for, in bytes.
const PART_BYTES: usize = 8;

/// The most parts of a secret that are looked for.
const PARTS: usize = 128;

/// Returns whether a part of a secret is in `bytes`, `beyond_whole` ones or those included.
fn holds_part(bytes: &[u8], secret: &[u8], beyond_whole: bool) -> bool {
    if secret.len() < 4 {
        return false;
    }
    let without = beyond_whole.then(|| {
        let mut rest = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for at in memmem::find_iter(bytes, secret) {
            rest.extend_from_slice(bytes.get(from..at).unwrap_or_default());
            rest.push(b'\n');
            from = at + secret.len();
        }
        rest.extend_from_slice(bytes.get(from..).unwrap_or_default());
        rest
    });
    let bytes = without.as_deref().unwrap_or(bytes);
    // Of a very long one, not every part.
    let step = secret.len().div_ceil(PARTS);
    let mut parts = secret.windows(PART_BYTES.min(secret.len())).step_by(step);
    parts.any(|part| memmem::find(bytes, part).is_some())
}

/// An answer that is not handed over for the sake of what the host has attached.
fn withheld(why: &str) -> ToolError {
    ToolError::failed(format!(
        "the answer is withheld: the host has sent a credential, and the answer {why}"
    ))
}

fn headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, ToolError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let wrong =
            |why: &str| ToolError::argument("headers", format!("{:?} {why}", name.as_str()));
        let header =
            HeaderName::try_from(name).map_err(|_| wrong("is not the name of a header"))?;
        if RESERVED.contains(&header.as_str()) {
            return Err(wrong("is written by the host"));
        }
        let value = HeaderValue::try_from(value)
            .map_err(|_| wrong("has a value that no header can have"))?;
        if headers.insert(header, value).is_some() {
            return Err(wrong("is given twice"));
        }
    }
    Ok(headers)
}

/// Returns where an answer sends the client, if anywhere.
fn redirected(response: &Response) -> Result<Option<String>, ToolError> {
    let redirects = [301, 302, 303, 307, 308].contains(&response.status().as_u16());
    let location = response.headers().get(LOCATION).filter(|_| redirects);
    let text = location.map(|location| location.to_str().map(ToOwned::to_owned));
    text.transpose()
        .map_err(|_| ToolError::failed("the answer redirects to what is not a URL"))
}

/// The next hop of a redirect, as browsers go on.
fn next(hop: Hop, status: StatusCode, location: &str) -> Result<Hop, ToolError> {
    let nowhere =
        |why: String| ToolError::failed(format!("the answer redirects to a URL that {why}"));
    let joined = hop
        .url
        .join(location)
        .map_err(|_| nowhere("is none".to_owned()))?;
    // By the same rules as the first.
    let url = parse_url(joined.as_str()).map_err(|error| nowhere(error.to_string()))?;
    if hop.url.scheme() == "https" && url.scheme() != "https" {
        let reason = "a redirect leads from https to http".to_owned();
        return Err(deny(&url, "allowed_domains", reason.clone(), reason));
    }
    let Hop {
        url: from,
        mut method,
        mut headers,
        mut body,
    } = hop;
    let status = status.as_u16();
    let becomes_get = match status {
        303 => method != Method::HEAD,
        301 | 302 => method == Method::POST,
        _ => false,
    };
    if becomes_get {
        (method, body) = (Method::GET, None);
        for name in ["content-type", "content-encoding", "content-language"] {
            headers.remove(name);
        }
    }
    if from.origin() != url.origin() {
        // What was meant for one server is not another's.
        for name in ["authorization", "cookie"] {
            headers.remove(name);
        }
    }
    Ok(Hop {
        url,
        method,
        headers,
        body,
    })
}

fn deny(url: &Url, rule: &str, reason: String, message: String) -> ToolError {
    ToolError::Denied {
        resource: url.to_string(),
        rule: rule.to_owned(),
        reason,
        message: Some(message),
    }
}

/// Makes the message for a request that failed. Not the error's own words: they name addresses.
fn map_send_error(error: &reqwest::Error) -> ToolError {
    ToolError::failed(match error {
        error if error.is_connect() => "the server can't be connected to",
        error if error.is_timeout() => "the server took too long",
        error if error.is_body() || error.is_decode() => "the answer broke off",
        _ => "the request can't be sent",
    })
}
