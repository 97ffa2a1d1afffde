//! The command line. What each command does stands in the module of its name.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::exit;

/// Turns a backend request into a plan, and the plan into change that is verified step by step and
/// can be taken back.
#[derive(Debug, Parser)]
#[command(name = "deadelus", version, about, after_help = exit::HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which mesh the command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Folder with configuration, logs and data of the processes started here
    #[arg(
        long,
        global = true,
        env = "DEADELUS_HOME",
        default_value = ".deadelus",
        value_name = "DIR"
    )]
    pub(crate) home: PathBuf,
    /// NATS server of the mesh; without it the one that `deadelus up` started in --home
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) nats_url: Option<String>,
    /// Configuration (TOML, section [nats]) for meshes that want credentials or TLS
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start what does not run yet: NATS, the orchestrator, the specialists, each its own process
    Up(Up),
    /// Stop everything that `up` started here, letting work in hand finish
    Down(Down),
    /// Check everything, and say what to do about what is wrong
    Doctor(Output),
    /// Make a plan from words, or check a plan file, and show it; nothing is changed
    Plan(Plan),
    /// Plan, ask for approval, carry it out, and report
    Run(Run),
    /// List workflows
    List(List),
    /// Write an artefact (a measurement, a plan, evidence) to standard output
    Artefact(Artefact),
    /// Verify that nobody has changed the log of a workflow, and say who decided what
    Audit(Audit),
    /// Begin a new workflow that keeps the results before a task
    Fork(Fork),
    /// The messages that nobody could handle
    #[command(subcommand)]
    Dead(Dead),
    #[command(flatten)]
    Look(Look),
    #[command(flatten)]
    Decide(Decision),
    /// List the requests that are ready, or explain one: its parameters, tasks, and what finds it
    Blueprints(Blueprints),
    /// Answer what was asked about a plan of your own that was not detailed enough
    Answer(Answer),
    /// Say everything that is wrong with a blueprint or a plan of your own
    Lint(Lint),
    /// List the specialists, what they can do and to which targets
    Specialists(Output),
    /// Make a key for each process, and the part of the NATS server's configuration that says what
    /// each may do
    NatsConfig(NatsConfig),
    /// Make a token for the HTTP gateway: shown once, with the lines for the orchestrator's file
    Token(Token),
    /// Print the completions of a shell
    Completions {
        /// bash, zsh, fish
        shell: Shell,
    },
    /// Start a program in a session of its own; used by `up`
    #[command(hide = true)]
    Detached {
        /// The program and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        words: Vec<std::ffi::OsString>,
    },
}

/// `--nats-url` is the address that the processes are to use.
#[derive(Debug, Args)]
pub(crate) struct NatsConfig {
    /// Folder for what is made; keys that are there are kept
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// First tokens of every subject of the mesh
    #[arg(long, default_value = deadelus_proto::subject::DEFAULT_PREFIX)]
    pub(crate) prefix: String,
    /// The server's certificate (PEM): TLS is on, and nobody is let in without
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Who has signed it (PEM); without it the processes trust what their system trusts
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Make a new key for a role whose key may be known: orchestrator, a specialist, operator, viewer
    #[arg(long, value_name = "ROLE")]
    pub(crate) rotate: Vec<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Whose it is: what the log says of who decided
    #[arg(value_parser = token_name)]
    pub(crate) name: String,
    /// What it may do besides looking; more than one is given one by one
    #[arg(long = "role", value_enum)]
    pub(crate) roles: Vec<Role>,
    /// Refused after so many days; without it, never
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=3650))]
    pub(crate) days: Option<i64>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Look; every token may
    Viewer,
    /// Plan, start, cancel, undo
    Operator,
    /// Approve and reject at gates
    Approver,
}

/// It stands in the log, and as a bare key in a file.
fn token_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let fits = (1..=64).contains(&text.len()) && text.chars().all(good);
    let bad = || "a name has 1 to 64 letters, digits, - or _".to_owned();
    fits.then(|| text.to_owned()).ok_or_else(bad)
}

/// What is done about the messages that nobody could handle.
#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List them, the oldest first
    List {
        /// For whom
        #[arg(short, long, value_enum, default_value_t)]
        output: ListFormat,
    },
    /// Show one, with the reason
    Show(Letters),
    /// Send it again where it came from
    Retry(Letters),
    /// Drop it for good
    Drop(Letters),
}

#[derive(Debug, Args)]
pub(crate) struct Letters {
    /// The letter's number, or - for numbers on standard input
    pub(crate) number: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What only looks at a workflow.
#[derive(Debug, Subcommand)]
pub(crate) enum Look {
    /// Follow a workflow until it ends; Ctrl-C leaves it running
    Watch(One),
    /// Show where every task of a workflow stands
    Show(One),
    /// Say what a workflow waits for, and what moves it on
    Why(One),
    /// Draw what happened when, as a waterfall
    Trace(One),
    /// Report what was asked, found, changed, taken back, and how to undo it
    Report(ReportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct Fork {
    #[command(flatten)]
    pub(crate) one: One,
    /// The first task that is done anew, and with it all that stands on it
    #[arg(long, value_name = "TASK")]
    pub(crate) from: String,
    /// Approve the plan without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// The workflow's id, `latest`, or - for ids on standard input
    #[arg(required_unless_present = "file")]
    pub(crate) id: Option<String>,
    /// An exported log instead of the mesh's: nothing has to run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "export"])]
    pub(crate) file: Option<PathBuf>,
    /// Write the log to a file, every decision byte for byte
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What a person decides about a workflow.
#[derive(Debug, Subcommand)]
pub(crate) enum Decision {
    /// Approve what a workflow waits for
    Approve(AtGate),
    /// Reject what a workflow waits for
    Reject(AtGate),
    /// Have somebody else, and nobody but them, answer at a gate
    Delegate(Delegate),
    /// Start nothing more of a workflow; what is in flight finishes
    Pause(About),
    /// Go on with a paused workflow, and try again what is held
    Resume(About),
    /// Try a held task again, or the failed undo of a stuck workflow
    Retry(Retry),
    /// Go on without a task; what it may have left behind is taken back
    Skip(OfTask),
    /// Stop a workflow and take back what it did
    Cancel(About),
    /// Take back a workflow that has ended
    Undo(About),
    /// Say that a task of a stuck workflow was taken back by hand
    Resolve(OfTask),
}

impl Decision {
    /// Which workflow, why, and how to answer.
    pub(crate) fn about(&self) -> &About {
        match self {
            Self::Approve(args) | Self::Reject(args) => &args.about,
            Self::Delegate(args) => &args.at.about,
            Self::Retry(args) => &args.about,
            Self::Skip(args) | Self::Resolve(args) => &args.about,
            Self::Pause(about) | Self::Resume(about) | Self::Cancel(about) | Self::Undo(about) => {
                about
            }
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Use this server instead of starting one
    #[arg(long, value_name = "URL")]
    pub(crate) nats: Option<String>,
    /// Replicas of a process: --scale db=2 --scale orchestrator=3
    #[arg(long, value_name = "NAME=N", value_parser = scale)]
    pub(crate) scale: Vec<(String, usize)>,
    /// Return only when every process answers on the mesh
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Down {
    /// Also forget all workflows, artefacts and logs; configuration stays
    #[arg(long)]
    pub(crate) purge: bool,
    /// Seconds a process gets to finish what it has in hand; then it is killed, and the work
    /// is handed to another when the mesh is up again
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    pub(crate) grace: u64,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What makes no sense beside a plan of one's own.
const WORDS: [&str; 4] = ["request", "target", "blueprint", "params"];

/// What is to be done: in words, or as a plan of one's own.
#[derive(Debug, Args)]
pub(crate) struct Wish {
    /// The request, in words
    #[arg(required_unless_present_any = ["file", "draft"])]
    pub(crate) request: Option<String>,
    /// The system it is about, as the specialists' configuration calls it
    #[arg(long, required_unless_present_any = ["file", "draft"])]
    pub(crate) target: Option<String>,
    /// Use this blueprint instead of choosing one by the words
    #[arg(long, value_name = "NAME")]
    pub(crate) blueprint: Option<String>,
    /// A parameter of the blueprint
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) params: Vec<(String, String)>,
    /// A plan of your own (YAML or JSON)
    #[arg(long, value_name = "FILE", conflicts_with_all = WORDS)]
    pub(crate) file: Option<PathBuf>,
    /// A plan of your own whose questions you have answered
    #[arg(long, value_name = "DRAFT", conflicts_with_all = WORDS, conflicts_with = "file")]
    pub(crate) draft: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) wish: Wish,
    /// yaml is the plan itself, to be edited and given back with --file
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: PlanFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Blueprints {
    /// The one to explain; without it all are listed
    pub(crate) name: Option<String>,
    /// yaml is the blueprint itself, to begin one of your own with
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: PlanFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// The draft, as `plan` or `run` named it
    pub(crate) draft: String,
    /// The answers; without any you are asked at the terminal
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) answers: Vec<(String, String)>,
    /// yaml is the plan itself
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: PlanFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// A blueprint or a plan (YAML or JSON)
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) wish: Wish,
    /// Approve the plan without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Print the id and return at once
    #[arg(long)]
    pub(crate) detach: bool,
    /// From -10 to 10, instead of the plan's: who waits for a lock or a limit goes before others of
    /// less; each step is worth a minute of waiting
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) priority: Option<i32>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A workflow.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Its id, `latest`, or - for ids on standard input
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those in this state: running, paused, waiting, undoing, stuck, done, undone, cancelled,
    /// rejected, needs-reconcile
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<String>,
    /// Of those that have ended, at most the newest N; without it 20 for people, all for programs
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// For whom; ids and json come as they are read, open ones first
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: ListFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The workflow's id, `latest`, or - for ids on standard input
    pub(crate) id: String,
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Artefact {
    /// Its SHA-256, or the beginning of it; reports name them
    pub(crate) sha256: String,
}

/// A workflow, and why.
#[derive(Debug, Args)]
pub(crate) struct About {
    /// The workflow's id, `latest`, or - for ids on standard input
    pub(crate) id: String,
    /// Why
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct AtGate {
    #[command(flatten)]
    pub(crate) about: About,
    /// The gate: `plan`, or the id of the task that waits. Not needed when only one waits
    #[arg(long)]
    pub(crate) gate: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Delegate {
    #[command(flatten)]
    pub(crate) at: AtGate,
    /// Who answers from now on, by the name they sign with
    #[arg(long, value_name = "NAME")]
    pub(crate) to: String,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) about: About,
    /// The task; without it everything that is held or stuck is tried again
    #[arg(long)]
    pub(crate) task: Option<String>,
}

#[derive(Debug, Args)]
#[command(mut_arg("reason", |arg| arg.required(true)))]
pub(crate) struct OfTask {
    #[command(flatten)]
    pub(crate) about: About,
    /// The task
    pub(crate) task: String,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// For whom: text for people, json for programs
    #[arg(short = 'o', long = "output", value_enum, default_value_t)]
    pub(crate) format: Format,
}

impl Output {
    /// Whether a program reads it.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PlanFormat {
    #[default]
    Text,
    Yaml,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ListFormat {
    #[default]
    Text,
    Json,
    /// One id a line
    Ids,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ReportFormat {
    #[default]
    Text,
    /// Markdown
    Md,
    /// One file, to be forwarded
    Html,
    Json,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn scale(text: &str) -> Result<(String, usize), String> {
    let (name, count) = pair(text)?;
    let count = count.parse().map_err(|_| format!("{count:?} is not a number"))?;
    Ok((name, count))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_request_or_a_file_not_both() {
        let parse = |words: &str| Cli::try_parse_from(words.split(' '));
        assert!(parse("deadelus plan slow --target shop").is_ok());
        assert!(parse("deadelus plan --file plan.yaml").is_ok());
        assert!(parse("deadelus trace latest -o json").is_ok());
        assert!(parse("deadelus run --draft dr-1 --yes").is_ok());
        assert!(parse("deadelus run --draft dr-1 --file plan.yaml").is_err());
        assert!(parse("deadelus answer dr-1 target=shop success=see:done").is_ok());
        assert!(parse("deadelus plan slow").is_err());
        assert!(parse("deadelus plan slow --file plan.yaml").is_err());
        assert!(parse("deadelus run slow --target shop --param p95").is_err());
    }
}
