//! `wardian run`.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot::{self, error::RecvError};
use wardian::{
    Error, Outcome, Runtime, Verdict,
    audit::FileOperation,
    event::{RunEvent, RunEvents},
    outcome::{Attempt, Output, Refusals, Stream},
    policy::{Allowance, Limit},
    session::SessionOptions,
    wire::{Ending, Report},
};

use crate::approve::WaitingTime;
use crate::args::RunArgs;
use crate::display::Escaper;
use crate::encoding;
use crate::exit::{self, Exit, Usage};
use crate::out::OutDir;
use crate::output::{print_report, remark};
use crate::prepare::{self, Prepared};
use crate::problems;
use crate::session::SessionFile;
use crate::sources::Files;

/// The most that is read of any file or of standard input: more could not be passed on anyway.
const FILE_BYTES: u64 = 64 << 20;

pub(crate) fn run(args: RunArgs) -> Result<Exit> {
    Runtime::check_host()?;
    let needs_work = !args.files.is_empty() || args.out.is_some();
    let prepared = Prepared::read(&args.sandbox, needs_work)?;
    let timeout = prepared.policy.limits().timeout();
    let script = match script(&args, timeout) {
        Ok(script) => script,
        Err(error) => {
            let unwritten = error.downcast::<Unwritten>()?;
            if args.json {
                print_report(&unwritten.report())?
            } else {
                exit::say(&unwritten.to_string())
            }
            return Ok(Exit::TIME);
        }
    };
    let Files { script, sources } = script;
    let runtime = Runtime::new()?;
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Before anything is written, so that no signal is lost, and none ends this process in the
    // middle of a record.
    let mut signals = {
        let _inside = executor.enter();
        Signals::new()?
    };
    let asked = WaitingTime::default();
    let sandbox = prepared.sandbox(&runtime, asked.clone())?;
    if args.sandbox.policy.is_none() && !args.quiet {
        prepare::print_grants(sandbox.policy());
    }
    let out = match &args.out {
        Some(_) if sandbox.policy().work().is_none() => {
            let why =
                "there is no working directory to write from: the policy gives one with `[work]`";
            return Err(Usage(why.to_owned()).into());
        }
        Some(path) => Some(OutDir::open(path, args.force)?),
        None => None,
    };
    let session = match &args.session {
        Some(file) => {
            let mut options = SessionOptions::default();
            options.allow_wider_policy = args.allow_wider_policy;
            Some(SessionFile::open(file, &sandbox, options)?)
        }
        None => None,
    };
    let (screen, mut written) = Screen::start()?;
    let heard = Heard::default();
    let mut show = if args.json {
        heard.sink()
    } else {
        sink(screen.clone())
    };
    let events = match &session {
        Some(file) => file.session.start(script),
        None => sandbox.start(script),
    };
    let cancel = events.cancel_handle();
    let ended = executor.block_on(async {
        let mut overdue = std::pin::pin!(overdue(timeout, asked));
        // The run has a thread of its own: where the script computes, signals have to work.
        let (done, mut outcome) = oneshot::channel();
        spawn("wardian-run", move || {
            let outcome = Box::new(pollster::block_on(follow(events, &mut show)));
            // The receiver is gone only when nobody waits for this run any more.
            let _ = done.send(outcome);
        })?;
        let ended = tokio::select! {
            outcome = &mut outcome => RunEnd::ByItself(outcome),
            failed = &mut written => RunEnd::OutputFailed(failed),
            () = &mut overdue => RunEnd::Overdue,
            exit = signals.next() => RunEnd::Signalled(exit),
        };
        let RunEnd::ByItself(outcome) = ended else {
            // So that its end is on the record; not if it can't be reached.
            cancel.cancel();
            let _ = tokio::time::timeout(SHUTDOWN_GRACE, outcome).await;
            return Ok(ended);
        };
        if let Ok(outcome) = &outcome
            && let Ok(outcome) = &**outcome
            && args.json
        {
            let mut line = serde_json::to_vec(&Report::from(outcome)).map_err(io::Error::other)?;
            line.push(b'\n');
            screen.send(Piece::Result(line));
        }
        screen.send(Piece::Flush);
        drop(screen);
        Ok(tokio::select! {
            biased;
            written = &mut written => match written {
                Ok(Ok(())) => RunEnd::ByItself(outcome),
                failed => RunEnd::OutputFailed(failed),
            },
            // The run has ended: it only matters if nobody reads.
            exit = signals.next() => match tokio::time::timeout(SHUTDOWN_GRACE, &mut written).await {
                Ok(Ok(Ok(()))) => RunEnd::ByItself(outcome),
                _ => RunEnd::Signalled(exit),
            },
            () = &mut overdue => RunEnd::Overdue,
        })
    });
    // What was given up has its end on the record, unless that can't be written.
    Runtime::settle(SHUTDOWN_GRACE);
    let outcome = match ended.map_err(|error: io::Error| anyhow::Error::new(error))? {
        RunEnd::ByItself(outcome) => (*outcome?).map_err(usage_or_own)?,
        RunEnd::OutputFailed(written) => {
            let failed = written.unwrap_or_else(|error| Err(io::Error::other(error)));
            return Err(exit::cannot_write(
                failed
                    .err()
                    .unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()),
            ));
        }
        RunEnd::Overdue => {
            remark("stopped at the time limit: nobody reads standard output");
            return Ok(Exit::TIME);
        }
        RunEnd::Signalled(exit) => {
            if args.json {
                print_report(&heard.report())?;
            }
            return Ok(exit);
        }
    };
    if let Some(file) = session {
        file.save()?;
    }
    let put_out = out.map(|out| out.write(&outcome, args.quiet || args.json));
    if !args.json {
        if !args.quiet {
            print_refusals(&outcome.refusals);
        }
        match &outcome.verdict {
            Verdict::Rejected { violations } => {
                problems::show_source(&sources, violations);
            }
            verdict if ended_by_itself(verdict) => {}
            verdict => remark(&verdict.to_string()),
        }
        for (output, limit) in [
            (&outcome.stdout, Limit::Stdout),
            (&outcome.stderr, Limit::Stderr),
        ] {
            if output.truncated {
                let max = limit.show(sandbox.policy().limits().get(limit));
                remark(&format!("{} was cut at {max}", limit.short_name()));
            }
        }
        if !args.quiet {
            for advice in &outcome.advice {
                remark(advice);
            }
        }
    }
    put_out.transpose()?;
    Ok(Exit::from(&outcome.verdict))
}

/// The end of waiting for a run.
enum RunEnd {
    ByItself(Result<Box<Result<Outcome, Error>>, RecvError>),
    /// Its output could not be shown.
    OutputFailed(Result<io::Result<()>, RecvError>),
    /// Its output is not being read.
    Overdue,
    Signalled(Exit),
}

/// The signals that end a run, and one that would end this process in the middle of a record: a
/// file has reached the size that the user's limits allow. Caught, it is an error of the write.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    _file_size: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        /// `SIGXFSZ`, on Linux.
        const FILE_SIZE: i32 = 25;
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(FILE_SIZE))?,
        })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::INTERRUPTED,
            _ = self.terminate.recv() => Exit::TERMINATED,
            _ = self.hangup.recv() => Exit::HUNG_UP,
        }
    }
}

/// The time that an abandoned run has for its last words.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// The time after its limit at which a run is abandoned that has not ended by itself.
const LATE: Duration = Duration::from_millis(250);

/// Waits until a run should have ended, people's time apart.
async fn overdue(timeout: Allowance<Duration>, asked: WaitingTime) {
    let Allowance::AtMost(timeout) = timeout else {
        return std::future::pending().await;
    };
    let started = Instant::now();
    loop {
        let deadline = started + timeout + LATE + asked.total();
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
            _ => return,
        }
    }
}

fn usage_or_own(error: Error) -> anyhow::Error {
    match error {
        Error::InputName { .. }
        | Error::ModuleName { .. }
        | Error::InputsTooLarge { .. }
        | Error::WorkFile { .. } => Usage(error.to_string()).into(),
        _ => error.into(),
    }
}

/// The most refusals that are shown one by one.
const MAX_SHOWN_REFUSALS: usize = 5;

/// Says what a script was refused. Not what it only looked for: libraries do that all the time.
pub(crate) fn print_refusals(refusals: &Refusals) {
    let is_look = |attempt: &Attempt| {
        let look = FileOperation::Stat;
        matches!(attempt, Attempt::File { operation, .. } if *operation == look)
    };
    let told = refusals
        .first
        .iter()
        .filter(|refusal| !is_look(&refusal.attempt));
    let told: Vec<_> = told.collect();
    for refusal in told.iter().take(MAX_SHOWN_REFUSALS) {
        let at = refusal.location.as_ref().map(|at| format!(" ({at})"));
        let (attempt, reason, at) = (&refusal.attempt, &refusal.reason, at.unwrap_or_default());
        remark(&format!("refused to {attempt}: {reason}{at}"));
    }
    if told.len() > MAX_SHOWN_REFUSALS {
        remark("refused more; --json has the first 32 of them and their number");
    }
}

fn script(args: &RunArgs, timeout: Allowance<Duration>) -> Result<Files> {
    let mut files = match (&args.code, &args.file) {
        (Some(code), _) => Files::of_code(code),
        (None, Some(file)) if file.is_dir() => Files::of_directory(file, timeout)?,
        (None, Some(file)) => {
            if is_dash(file) && args.stdin.as_deref().is_some_and(is_dash) {
                let why = "standard input can't be both the script and the script's input";
                return Err(Usage(why.to_owned()).into());
            }
            Files::of_file(file, timeout)?
        }
        (None, None) => return Err(Usage("there is no script to run".to_owned()).into()),
    };
    for module in &args.modules {
        files.add_module(module, timeout)?;
    }
    let mut inputs = serde_json::Map::new();
    if let Some(file) = &args.inputs {
        let text = text(file, timeout)?;
        inputs = serde_json::from_str(&text)
            .map_err(|error| Usage(format!("{} is not a JSON object: {error}", file.display())))?;
    }
    let mut typed = BTreeSet::new();
    for (name, value) in &args.input {
        if !typed.insert(name) {
            let why = format!("--input {name} is given twice; leave one of them out");
            return Err(Usage(why).into());
        }
        inputs.insert(name.clone(), value.clone());
    }
    let mut script = std::mem::take(&mut files.script);
    for (name, value) in inputs {
        script = script.input(name, value);
    }
    for arg in &args.args {
        script = script.arg(arg);
    }
    for (name, file) in &args.files {
        script = script.file(name, bytes(file, timeout)?);
    }
    if let Some(file) = &args.stdin {
        script = script.stdin(bytes(file, timeout)?);
    }
    files.script = script;
    Ok(files)
}

pub(crate) fn is_dash(file: &Path) -> bool {
    file == Path::new("-")
}

/// A text file, without the mark that some editors put in front. Python's sources may say in what
/// encoding they are.
pub(crate) fn text(file: &Path, timeout: Allowance<Duration>) -> Result<String> {
    let mut bytes = bytes(file, timeout)?;
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    encoding::decode(bytes).map_err(|why| Usage(format!("{} {why}", file.display())).into())
}

/// Starts a thread; says what is short if there is none.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    let lacking =
        |error| io::Error::other(format!("cannot start a thread: {error}; see `ulimit -u`"));
    started.map(drop).map_err(lacking)
}

/// Nobody has written what was to be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[error("{file} did not end within the time limit of {}", humantime::format_duration(*.after))]
struct Unwritten {
    file: String,
    after: Duration,
}

impl Unwritten {
    fn report(&self) -> Report {
        Report::without_outcome(Ending::Usage, self.to_string())
    }
}

/// Reads a file to its end, within the run's time limit: somebody has to write a pipe, and to close
/// it.
fn bytes(file: &Path, timeout: Allowance<Duration>) -> Result<Vec<u8>> {
    let shown = if is_dash(file) {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    };
    let cannot = |error: io::Error| Usage(format!("cannot read {shown}: {error}"));
    let path = file.to_owned();
    let (done, read) = mpsc::channel();
    let reading = move || {
        let mut bytes = Vec::new();
        let read = if is_dash(&path) {
            io::stdin()
                .lock()
                .take(FILE_BYTES + 1)
                .read_to_end(&mut bytes)
        } else {
            std::fs::File::open(&path)
                .and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes))
        };
        // Nobody waits any more when the time is up.
        let _ = done.send(read.map(|_| bytes));
    };
    spawn("wardian-input", reading).map_err(cannot)?;
    let read = match timeout {
        Allowance::AtMost(after) => read.recv_timeout(after).map_err(|_| Unwritten {
            file: shown.clone(),
            after,
        })?,
        Allowance::Unlimited => read.recv()?,
    };
    let bytes = read.map_err(cannot)?;
    if bytes.len() as u64 > FILE_BYTES {
        Err(Usage(format!("{shown} is larger than 64 MiB")).into())
    } else {
        Ok(bytes)
    }
}

fn ended_by_itself(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Completed | Verdict::Raised(_) | Verdict::Exited { .. }
    )
}

/// A receiver of a run's events.
type Sink = Box<dyn FnMut(RunEvent) + Send>;

/// Passes events on as they come, until the run has ended.
pub(crate) async fn follow(
    mut events: RunEvents,
    mut show: impl FnMut(RunEvent),
) -> Result<Outcome, Error> {
    while let Some(event) = events.next().await {
        show(event);
    }
    events.outcome().await
}

/// Returns the part of an event that a terminal shows: output, and the text of a display.
pub(crate) fn terminal_text(event: RunEvent) -> Option<(Stream, Vec<u8>)> {
    match event {
        RunEvent::Output { stream, bytes } => Some((stream, bytes)),
        RunEvent::Display(mut display) if !display.is_result => {
            let text = display.data.remove("text/plain")?;
            Some((Stream::Stdout, format!("{text}\n").into_bytes()))
        }
        _ => None,
    }
}

/// Shows events as they come.
fn sink(screen: Screen) -> Sink {
    Box::new(move |event| {
        if let Some((stream, bytes)) = terminal_text(event) {
            screen.send(Piece::Output(stream, bytes));
        }
    })
}

/// Output of a script so far, for a run that is interrupted.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<[Output; 2]>>);

impl Heard {
    fn sink(&self) -> Sink {
        let heard = self.clone();
        Box::new(move |event| {
            if let RunEvent::Output { stream, bytes } = event
                && let Ok(mut heard) = heard.0.lock()
            {
                let [stdout, stderr] = &mut *heard;
                let output = match stream {
                    Stream::Stdout => stdout,
                    Stream::Stderr => stderr,
                };
                output.bytes.extend_from_slice(&bytes);
                output.written += bytes.len() as u64;
            }
        })
    }

    fn report(&self) -> Report {
        let mut report = Report::without_outcome(Ending::Interrupted, "interrupted");
        if let Ok(heard) = self.0.lock() {
            let [stdout, stderr] = &*heard;
            report.set_output(stdout, stderr);
        }
        report
    }
}

/// Something to be written, in its turn.
enum Piece {
    Output(Stream, Vec<u8>),
    Result(Vec<u8>),
    Flush,
}

/// Writes on a thread of its own, so that a script does not wait for whoever reads its output: the
/// most that waits here are the output's own limits.
#[derive(Clone)]
struct Screen(mpsc::Sender<Piece>);

impl Screen {
    /// A screen, and what has come of it: an error as soon as there is one, else nothing before
    /// everything is written.
    fn start() -> io::Result<(Self, oneshot::Receiver<io::Result<()>>)> {
        let (sender, pieces) = mpsc::channel();
        let (done, written) = oneshot::channel();
        spawn("wardian-output", move || {
            let mut display = Display::new();
            let shown = pieces.into_iter().try_for_each(|piece| match piece {
                Piece::Output(stream, bytes) => display.show(stream, &bytes),
                Piece::Result(bytes) => io::stdout().lock().write_all(&bytes),
                Piece::Flush => io::stdout().flush(),
            });
            // The receiver is gone only when nobody waits any more.
            let _ = done.send(shown);
        })?;
        Ok((Self(sender), written))
    }

    fn send(&self, piece: Piece) {
        // It is gone after an error, which is told elsewhere.
        let _ = self.0.send(piece);
    }
}

/// The terminal, or the pipe, that a script's output goes to while it runs: escaped on a terminal,
/// as it is elsewhere.
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
