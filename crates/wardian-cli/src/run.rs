//! `wardian run`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::{Either, select};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot::{self, error::RecvError};
use wardian::{
    Access, Allowance, Error, FileOperation, Grant, Limit, Log, Outcome, Policy, Profile, Refusals,
    Runtime, SCRIPT_NAME, Sandbox, Script, Stream, Verdict, Wish, load_policy,
};

use crate::args::RunArgs;
use crate::display::Escaper;
use crate::exit::{self, Exit, Usage};
use crate::output::remark;
use crate::{approve, problems};

/// The most that is read of any file or of standard input: more could not be passed on anyway.
const FILE_BYTES: u64 = 64 << 20;

pub(crate) fn run(args: RunArgs) -> Result<Exit> {
    let script = script(&args)?;
    let (name, code) = (source_name(args.file.as_deref()), script.code().to_owned());
    let policy = policy(&args)?;
    let profile = policy.code().profile.name();
    let timeout = policy.limits().timeout();
    let runtime = Runtime::new()?;
    let tools = wardian_tools::ready(&policy)?;
    let mut sandbox = Sandbox::new(&runtime, policy)?
        .with_tools(tools)?
        .with_approver(approve::on_the_terminal());
    if let Some(file) = &args.audit {
        sandbox = sandbox.with_audit(log(file)?);
    }
    if args.policy.is_none() && !args.quiet {
        granted(sandbox.policy());
    }
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (failed, mut failure) = oneshot::channel();
    let run = sandbox.run_streaming(script, sink(!args.json, failed));
    let ended = executor.block_on(async {
        // Before the run, so that no Ctrl-C is lost.
        let mut interrupt = signal(SignalKind::interrupt())?;
        // The run has a thread of its own: where writing its output blocks, Ctrl-C has to work.
        let (done, mut outcome) = oneshot::channel();
        let (cancel, cancelled) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            if let Either::Left((outcome, _)) = pollster::block_on(select(run, cancelled)) {
                // The receiver is gone only when nobody waits for this run any more.
                let _ = done.send(Box::new(outcome));
            }
        });
        let ended = tokio::select! {
            outcome = &mut outcome => return Ok(Ended::ByItself(outcome)),
            Ok(error) = &mut failure => Ended::Unheard(error),
            () = overdue(timeout) => Ended::Overdue,
            _ = interrupt.recv() => Ended::Interrupted,
        };
        // So that its end is on the record; not if it can't be reached.
        drop(cancel);
        let _ = tokio::time::timeout(GRACE, outcome).await;
        io::Result::Ok(ended)
    })?;
    let outcome = match ended {
        Ended::ByItself(outcome) => (*outcome?).map_err(usage_or_own)?,
        Ended::Unheard(error) => return Err(exit::cannot_write(error)),
        Ended::Overdue => {
            if !args.quiet {
                remark("stopped at the time limit: nobody read its output");
            }
            return Ok(Exit::TIME);
        }
        Ended::Interrupted => return Ok(Exit::INTERRUPTED),
    };
    // The last that it printed may have failed to go out in the moment in which it ended.
    let written = failure
        .try_recv()
        .map_or_else(|_| io::stdout().flush(), Err);
    written.map_err(exit::cannot_write)?;
    if args.json {
        let mut line = serde_json::to_vec(&outcome.json())?;
        line.push(b'\n');
        crate::output::write(&line)?;
    } else if !args.quiet {
        refused(&outcome.refusals);
        match &outcome.verdict {
            Verdict::Rejected { violations } => {
                problems::show_source(&name, &code, violations);
                let of_profile = |rule: &str| ["import", "call"].contains(&rule);
                if violations.iter().any(|found| of_profile(&found.rule)) {
                    remark(&format!(
                        "not run: the code profile `{profile}` refuses it; --profile names \
                         another, `[code]` in a policy changes its lists"
                    ));
                }
            }
            verdict if ended_by_itself(verdict) => {}
            verdict => remark(&verdict.to_string()),
        }
    }
    Ok(Exit::from(&outcome.verdict))
}

/// The log in this file; on standard error for `-`.
fn log(file: &Path) -> Result<Log> {
    if is_dash(file) {
        return Ok(Log::stderr());
    }
    let cannot = |error| Usage(format!("cannot record in {}: {error}", file.display()));
    Ok(Log::file(file).map_err(cannot)?)
}

/// How waiting for a run ended.
enum Ended {
    ByItself(Result<Box<Result<Outcome, Error>>, RecvError>),
    /// What it printed could not be shown.
    Unheard(io::Error),
    /// What it printed is not being read, so that it never came to see its limit.
    Overdue,
    Interrupted,
}

/// How long after its time limit a run is given up that has not ended, and how long one that is
/// given up has for its last words.
const GRACE: Duration = Duration::from_secs(1);

async fn overdue(timeout: Allowance<Duration>) {
    match timeout {
        Allowance::AtMost(timeout) => tokio::time::sleep(timeout + GRACE).await,
        Allowance::Unlimited => std::future::pending().await,
    }
}

fn usage_or_own(error: Error) -> anyhow::Error {
    match error {
        Error::InputName { .. } | Error::InputsTooLarge { .. } => Usage(error.to_string()).into(),
        _ => error.into(),
    }
}

/// What the script may do: what the policy's file says, narrowed by flags; without a file, what
/// flags say.
fn policy(args: &RunArgs) -> Result<Policy> {
    let base = match &args.policy {
        Some(file) => load_policy(file)?,
        None => quick(args)?,
    };
    let mut limits = base.limits().clone();
    for (limit, flag) in [
        (Limit::Timeout, args.timeout),
        (Limit::Memory, args.memory),
        (Limit::Fuel, args.fuel),
    ] {
        if let Some(amount) = flag {
            limits = limits
                .with(limit, amount)
                .map_err(|error| Usage(error.to_string()))?;
        }
    }
    let code = args.profile.map(Profile::code);
    let code = code.unwrap_or_else(|| base.code().clone());
    let policy = base.clone().with_limits(limits).with_code(code);
    // Without a file there is nothing to widen: whoever types the flags is who decides.
    if args.policy.is_some()
        && let Some(wider) = policy.widenings(&base).first()
    {
        let key = &wider.key;
        let flag = match key.as_str() {
            "code" => "profile",
            key => key.trim_start_matches("limits."),
        };
        let place = match base.location(key) {
            Some(at) => format!("as {at} says"),
            None => "the default, since the policy says nothing".to_owned(),
        };
        return Err(Usage(format!(
            "--{flag} would widen the policy: {}, {place}; a flag can only narrow it, so leave it \
             out or change `{key}` in the policy",
            wider.what
        ))
        .into());
    }
    Ok(policy)
}

/// The policy without a file: computing, and the directories of `--read` and `--write`.
fn quick(args: &RunArgs) -> Result<Policy> {
    let mut granted: BTreeMap<(&str, &Path), Access> = BTreeMap::new();
    for (directories, access) in [(&args.read, Access::READ), (&args.write, Access::WRITE)] {
        for directory in directories {
            let place = (directory.guest.as_str(), directory.host.as_path());
            *granted.entry(place).or_insert(Access::empty()) |= access;
        }
    }
    let mut policy = Policy::computing();
    for ((guest, host), access) in granted {
        let wrong = |why: String| Usage(format!("cannot grant {}: {why}", host.display()));
        let absolute = std::path::absolute(host).map_err(|error| wrong(error.to_string()))?;
        let grant =
            Grant::new(guest, &absolute, access).map_err(|error| wrong(error.to_string()))?;
        policy = policy
            .with_permissions(access.permissions())
            .with_grant(grant)
            .map_err(|error| wrong(error.to_string()))?;
    }
    Ok(policy)
}

/// Says what flags have granted.
fn granted(policy: &Policy) {
    for grant in policy.grants() {
        let may = match policy.access(grant) {
            Access::READ => "read",
            Access::WRITE => "write",
            _ => "read and write",
        };
        let (guest, host) = (grant.guest(), grant.host().display());
        remark(&format!("the script may {may} {guest}, which is {host}"));
    }
}

/// How many refusals are told one by one.
const TOLD: usize = 5;

/// Says what a script was refused. Not what it only looked for: libraries do that all the time.
fn refused(refusals: &Refusals) {
    let is_look = |wish: &Wish| matches!(wish, Wish::File { operation, .. } if *operation == FileOperation::Stat);
    let told = refusals
        .first
        .iter()
        .filter(|refusal| !is_look(&refusal.wish));
    let told: Vec<_> = told.collect();
    for refusal in told.iter().take(TOLD) {
        let at = refusal.location.as_ref().map(|at| format!(" ({at})"));
        let (wish, reason, at) = (&refusal.wish, &refusal.reason, at.unwrap_or_default());
        remark(&format!("refused to {wish}: {reason}{at}"));
    }
    if told.len() > TOLD {
        remark("refused more; --json has the first 32 of them and their number");
    }
}

fn script(args: &RunArgs) -> Result<Script> {
    let code = match (&args.code, &args.file) {
        (Some(code), _) => code.clone(),
        (None, Some(file)) => {
            if is_dash(file) && args.stdin.as_deref().is_some_and(is_dash) {
                let why = "standard input can't be both the script and the script's input";
                return Err(Usage(why.to_owned()).into());
            }
            text(file)?
        }
        (None, None) => return Err(Usage("there is no script to run".to_owned()).into()),
    };
    let mut script = Script::new(code);
    if let Some(file) = &args.inputs {
        let inputs: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text(file)?)
            .map_err(|error| Usage(format!("{} is not a JSON object: {error}", file.display())))?;
        for (name, value) in inputs {
            script = script.input(name, value);
        }
    }
    for (name, value) in &args.input {
        script = script.input(name, value.clone());
    }
    for arg in &args.args {
        script = script.arg(arg);
    }
    if let Some(file) = &args.stdin {
        script = script.stdin(bytes(file)?);
    }
    Ok(script)
}

/// What a source is called where it is shown, given its file, if it has one.
pub(crate) fn source_name(file: Option<&Path>) -> String {
    match file.filter(|file| !is_dash(file)) {
        Some(file) => file.display().to_string(),
        None => SCRIPT_NAME.to_owned(),
    }
}

pub(crate) fn is_dash(file: &Path) -> bool {
    file == Path::new("-")
}

/// A text file, without the mark that some editors put in front.
pub(crate) fn text(file: &Path) -> Result<String> {
    let mut bytes = bytes(file)?;
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Usage(format!(
            "{} is not UTF-8: byte {at} is not part of a character",
            file.display()
        ))
        .into()
    })
}

fn bytes(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read =
        |source: &mut dyn Read, bytes: &mut Vec<u8>| source.take(FILE_BYTES + 1).read_to_end(bytes);
    let read = if is_dash(file) {
        read(&mut io::stdin().lock(), &mut bytes)
    } else {
        std::fs::File::open(file).and_then(|mut file| read(&mut file, &mut bytes))
    };
    match read {
        Ok(_) if bytes.len() as u64 > FILE_BYTES => {
            Err(Usage(format!("{} is larger than 64 MiB", file.display())).into())
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(Usage(format!("cannot read {}: {error}", file.display())).into()),
    }
}

fn ended_by_itself(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Completed | Verdict::Raised(_) | Verdict::Exited { .. }
    )
}

/// Shows output as it comes, until that fails.
fn sink(
    show: bool,
    failed: oneshot::Sender<io::Error>,
) -> impl FnMut(Stream, &[u8]) + Send + 'static {
    let mut display = Display::new();
    let mut failed = Some(failed);
    move |stream, bytes| {
        if show
            && failed.is_some()
            && let Err(error) = display.show(stream, bytes)
            && let Some(failed) = failed.take()
        {
            // The receiver is gone only when nobody waits for this run any more.
            let _ = failed.send(error);
        }
    }
}

/// Where a script's output goes while it runs: escaped on a terminal, as it is elsewhere.
struct Display {
    stdout: Option<Escaper>,
    stderr: Option<Escaper>,
}

impl Display {
    fn new() -> Self {
        let escaper = |is_terminal: bool| is_terminal.then(Escaper::default);
        Self {
            stdout: escaper(io::stdout().is_terminal()),
            stderr: escaper(io::stderr().is_terminal()),
        }
    }

    fn show(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        match stream {
            Stream::Stdout => show(&mut io::stdout().lock(), self.stdout.as_mut(), bytes),
            Stream::Stderr => {
                io::stdout().flush()?;
                // Nobody could be told of an error here.
                let _ = show(&mut io::stderr().lock(), self.stderr.as_mut(), bytes);
                Ok(())
            }
        }
    }
}

/// Writes line by line; on a terminal at once, so that a prompt or a row of dots is seen.
fn show(to: &mut dyn Write, escaper: Option<&mut Escaper>, bytes: &[u8]) -> io::Result<()> {
    match escaper {
        Some(escaper) => {
            to.write_all(escaper.push(bytes).as_bytes())?;
            to.flush()
        }
        None => to.write_all(bytes),
    }
}
