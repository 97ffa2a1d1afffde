//! `deadelus lint`: what is wrong with a blueprint or a plan of one's own, everything at once.

use std::{fs, io::Read};

use deadelus_proto::{
    limits::PLAN_MAX_BYTES,
    pb::{LintAnswer, LintRequest, PlanProblem},
    subject::Api,
};
use serde::Serialize;

use crate::{
    args::{Lint, Place},
    client,
    error::CliError,
    exit::Exit,
    term,
};

/// As `-o json` shows it.
#[derive(Serialize)]
struct Judged<'a> {
    file: String,
    kind: &'a str,
    problems: Vec<Problem<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    place: &'a str,
    what: &'a str,
}

pub(crate) async fn run(place: &Place, args: &Lint) -> Result<Exit, CliError> {
    let text = read(args)?;
    let client = client::connect(place).await?;
    let answer: LintAnswer = client.ask(Api::Lint, &LintRequest { text }).await?;
    let file = args.file.display().to_string();
    if args.output.is_json() {
        let problems = answer.problems.iter();
        let problems = problems.map(|p| Problem { place: &p.place, what: &p.what }).collect();
        term::say_json(&Judged { file, kind: &answer.kind, problems })?;
        return Ok(if answer.problems.is_empty() { Exit::Done } else { Exit::NoPlan });
    }
    if answer.problems.is_empty() {
        let kind = &answer.kind;
        term::say_line(&format!("{file}: a {kind} that the specialists here can carry out"))?;
        return Ok(Exit::Done);
    }
    let problems = answer.problems.iter().map(said).collect();
    Err(CliError::Unsound { file, kind: answer.kind, problems })
}

/// What is larger than any plan is not read whole.
fn read(args: &Lint) -> Result<String, CliError> {
    let mut text = String::new();
    let opened = fs::File::open(&args.file).map_err(CliError::file("read", &args.file))?;
    let mut file = opened.take(PLAN_MAX_BYTES as u64 + 1);
    file.read_to_string(&mut text).map_err(CliError::file("read", &args.file))?;
    Ok(text)
}

/// `tasks.measure0.needs[1]: no task "x"`
fn said(problem: &PlanProblem) -> String {
    if problem.place.is_empty() {
        problem.what.clone()
    } else {
        format!("{}: {}", problem.place, problem.what)
    }
}
