//! Mail: by one server, from one sender, to recipients that are listed.

use std::sync::Arc;

use bytesize::ByteSize;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardian::{
    Call, Tool, ToolError,
    policy::{Access, Action},
};

use crate::config::{SecretSource, ToolConfig};
use crate::{ConfigError, Secret};

/// The most recipients of one mail.
const RECIPIENTS: usize = 50;

/// The longest subject, in bytes.
const SUBJECT_BYTES: usize = 500;

/// `[tools.send_email.config]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The server's name.
    server: String,
    /// Its port. [default: 465 for `tls`, 587 for `starttls`, 25 for `none`]
    port: Option<u16>,
    /// The encryption of the connection.
    #[serde(default)]
    encryption: Encryption,
    username: Option<String>,
    password: Option<SecretSource>,
    /// The sender of every mail: `Shop <shop@example.com>`.
    from: String,
    /// The recipients that mail can be sent to: `ada@example.com`, `*@example.com`.
    recipients: Vec<String>,
    /// The longest text of a mail: `100KiB`.
    #[serde(default = "max_bytes")]
    max_bytes: ByteSize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encryption {
    /// From the first byte.
    #[default]
    Tls,
    /// After a greeting in the clear, or not at all.
    Starttls,
    /// Not at all: for a server on this machine.
    None,
}

fn max_bytes() -> ByteSize {
    ByteSize::kib(100)
}

/// Sends a mail.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Mail {
    /// The addresses of those who get it: `ada@example.com`.
    to: Vec<String>,
    /// Subject.
    subject: String,
    /// Its text.
    body: String,
}

/// Someone who mail can be sent to. Compared in lower case.
enum Recipient {
    One(String),
    Domain(String),
}

impl Recipient {
    fn new(text: &str) -> Result<Self, String> {
        let text = text.to_lowercase();
        match text.strip_prefix("*@") {
            Some(domain) if Address::new("x", domain).is_ok() => {
                Ok(Self::Domain(domain.to_owned()))
            }
            None if text.parse::<Address>().is_ok() => Ok(Self::One(text)),
            _ => Err(format!(
                "{text:?} is neither an address nor `*@` and a domain"
            )),
        }
    }

    fn is(&self, address: &Address) -> bool {
        match self {
            Self::One(one) => *one == address.to_string().to_lowercase(),
            Self::Domain(domain) => *domain == address.domain().to_lowercase(),
        }
    }
}

pub(crate) fn send_email(setting: ToolConfig<'_>) -> Result<Tool, ConfigError> {
    let config: Config = setting.config()?;
    let wrong = |key: &str, why: String| setting.wrong(key, why);
    let from: Mailbox = config
        .from
        .parse()
        .map_err(|_| wrong("from", format!("{:?} is not an address", config.from)))?;
    let recipients = config.recipients.iter().enumerate().map(|(i, text)| {
        Recipient::new(text).map_err(|why| wrong(&format!("recipients[{i}]"), why))
    });
    let recipients: Vec<Recipient> = recipients.collect::<Result<_, _>>()?;
    let secret: Option<Secret> = match (&config.username, &config.password) {
        (Some(_), Some(password)) => Some(setting.secret(password, "password")?),
        (None, None) => None,
        _ => {
            return Err(wrong(
                "",
                "a username needs a password, and the other way round".to_owned(),
            ));
        }
    };
    if config.encryption == Encryption::None && secret.is_some() {
        let why = "a password is not sent in the clear; use `tls` or `starttls`";
        return Err(wrong("encryption", why.to_owned()));
    }
    let transport = transport(&config, secret.as_ref()).map_err(|why| wrong("server", why))?;
    let most = usize::try_from(config.max_bytes.as_u64()).unwrap_or(usize::MAX);
    let shared = Arc::new((transport, from, recipients));
    let checked = shared.clone();
    let handler = move |mail: Mail, _: Call| {
        let shared = shared.clone();
        async move {
            let (transport, from, recipients) = &*shared;
            check(&mail, recipients, most)?;
            let message = message(&mail, from)?;
            // Not the server's own words: they name hosts.
            let failed = |error: lettre::transport::smtp::Error| match error.status() {
                Some(status) => ToolError::failed(format!("the server refused the mail: {status}")),
                None => ToolError::failed("the mail server can't be reached"),
            };
            transport.send(message).await.map_err(failed)?;
            Ok(())
        }
    };
    let tool = Tool::new(setting.tool, Action::SendEmail, handler)
        .and_then(|tool| tool.resource("to"))
        .map_err(|error| setting.undeclared(error))?;
    let tool = tool.checked_by(move |args| {
        let mail = Mail::deserialize(args).map_err(|error| ToolError::failed(error.to_string()))?;
        let (_, _, recipients) = &*checked;
        check(&mail, recipients, most)
    });
    let tool = match config.password.as_ref().and_then(SecretSource::file) {
        Some(file) => tool.relies_on(file, Access::READ_WRITE),
        None => tool,
    };
    Ok(match secret {
        Some(secret) => tool.with_secret(secret.reveal()),
        None => tool,
    })
}

fn transport(
    config: &Config,
    secret: Option<&Secret>,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let tls = || TlsParameters::new(config.server.clone()).map_err(|error| error.to_string());
    let (tls, port) = match config.encryption {
        Encryption::Tls => (Tls::Wrapper(tls()?), 465),
        Encryption::Starttls => (Tls::Required(tls()?), 587),
        Encryption::None => (Tls::None, 25),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.server)
        .port(config.port.unwrap_or(port))
        .tls(tls);
    if let (Some(username), Some(secret)) = (&config.username, secret) {
        let credentials = Credentials::new(username.clone(), secret.reveal().to_owned());
        transport = transport.credentials(credentials);
    }
    Ok(transport.build())
}

/// Checks that a mail may be sent.
fn check(mail: &Mail, recipients: &[Recipient], most: usize) -> Result<(), ToolError> {
    if mail.subject.len() > SUBJECT_BYTES || mail.subject.contains(char::is_control) {
        let why = format!("is longer than {SUBJECT_BYTES} bytes, or holds a control character");
        return Err(ToolError::argument("subject", why));
    }
    if mail.body.len() > most {
        return Err(ToolError::argument(
            "body",
            format!("is longer than {most} bytes"),
        ));
    }
    let of_lines = |char: char| ['\r', '\n', '\t'].contains(&char);
    if mail
        .body
        .contains(|char: char| char.is_control() && !of_lines(char))
    {
        let why = "holds a control character other than tabs and line ends";
        return Err(ToolError::argument("body", why));
    }
    if mail.to.is_empty() || mail.to.len() > RECIPIENTS {
        return Err(ToolError::argument(
            "to",
            format!("names none, or more than {RECIPIENTS}"),
        ));
    }
    for to in &mail.to {
        let address = address(to)?;
        if !recipients.iter().any(|recipient| recipient.is(&address)) {
            return Err(ToolError::Denied {
                resource: to.clone(),
                rule: "tools.send_email.config.recipients".to_owned(),
                reason: format!("no entry of recipients allows {to}"),
                message: Some(format!(
                    "send_email may not write to {to}: the policy's recipients do not have it"
                )),
            });
        }
    }
    Ok(())
}

/// An address and nothing else: no name, no list, no line end, and nothing in front of the `@` by
/// which a server could send it on to elsewhere: `x%evil.com@example.com`,
/// `evil.com!x@example.com`, a path, a program.
fn address(text: &str) -> Result<Address, ToolError> {
    let wrong = |why: &str| ToolError::argument("to", format!("{text:?} {why}"));
    let address: Address = text.parse().map_err(|_| wrong("is not an address"))?;
    let plain = |char: char| char.is_alphanumeric() || "#&'*+-.=?^_{}~$".contains(char);
    if address.user().chars().all(plain) && !address.user().starts_with('-') {
        Ok(address)
    } else {
        Err(wrong(
            "has a character before the @ that mail servers act upon",
        ))
    }
}

fn message(mail: &Mail, from: &Mailbox) -> Result<Message, ToolError> {
    let mut message = Message::builder().from(from.clone()).subject(&mail.subject);
    for to in &mail.to {
        message = message.to(address(to)?.into());
    }
    // Encoded, so that what goes on the wire are clean lines of text whatever the body is: a bare
    // CR or LF is no end of a line to some servers, and one to others.
    let lines = mail.body.replace("\r\n", "\n").replace('\r', "\n");
    let lines = lines.replace('\n', "\r\n");
    let encoding = ContentTransferEncoding::QuotedPrintable;
    let unwritten = || ToolError::failed("the mail can't be written");
    let body = Body::new_with_encoding(lines, encoding).map_err(|_| unwritten())?;
    message
        .header(ContentType::TEXT_PLAIN)
        .body(body)
        .map_err(|_| unwritten())
}

#[cfg(test)]
mod tests {
    use super::address;

    /// REVIEW A 5.
    #[test]
    fn a_5_no_address_is_sent_on_elsewhere() {
        for text in [
            "ada@example.com",
            "ada.b+tag@example.com",
            "o'neil_x-1@example.com",
        ] {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in [
            "x%evil.com@customers.example.com",
            "evil.com!x@customers.example.com",
            "\"x@evil.com\"@customers.example.com",
            "|cat@customers.example.com",
            "/tmp/x@customers.example.com",
            "-oQ@customers.example.com",
            "`id`@customers.example.com",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
