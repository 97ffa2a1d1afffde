//! Container files, line by line.

use super::{Level, Problem, floats, is_secret_in_the_open};

/// What is wrong with a container file.
pub(super) fn problems(text: &str) -> Vec<Problem> {
    let mut problems = vec![];
    let mut stages: Vec<String> = vec![];
    let mut user: Option<String> = None;
    let mut last_from = 0;
    for (line, instruction) in instructions(text) {
        let (word, rest) =
            instruction.split_once(char::is_whitespace).unwrap_or((&instruction, ""));
        let rest = rest.trim();
        let mut problem = |rule, level, subject: &str, message: String| {
            problems.push(Problem { rule, level, subject: subject.to_owned(), line, message });
        };
        match word.to_ascii_uppercase().as_str() {
            "FROM" => {
                let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
                let image = words.next().unwrap_or_default();
                if image != "scratch" && !stages.iter().any(|s| s == image) && floats(image) {
                    let text = format!("{image} is another image tomorrow: name a version");
                    problem("image-without-version", Level::Warning, image, text);
                }
                stages.extend(words.nth(1).map(str::to_owned));
                (user, last_from) = (None, line);
            }
            "USER" => user = Some(rest.split(':').next().unwrap_or_default().to_owned()),
            "ADD" if rest.starts_with("http") => {
                let text = "ADD takes from the network whatever is there on that day".to_owned();
                problem("add-from-network", Level::Warning, rest, text);
            }
            "ENV" | "ARG" => {
                for (name, value) in settings(rest) {
                    if is_secret_in_the_open(name, value) {
                        let text = format!("{name} stays readable in the image: mount a secret");
                        problem("secret-in-image", Level::Error, name, text);
                    }
                }
            }
            "RUN" if pipes_to_shell(rest) => {
                let text = "what the network sends is run without being looked at".to_owned();
                problem("network-to-shell", Level::Error, rest, text);
            }
            _ => {}
        }
    }
    if last_from > 0 && user.is_none_or(|user| user == "root" || user == "0") {
        problems.push(Problem {
            rule: "runs-as-root",
            level: Level::Error,
            subject: "USER".to_owned(),
            line: last_from,
            message: "the last stage has no USER other than root".to_owned(),
        });
    }
    problems
}

/// Lines joined where they are continued, without comments; each with the line it begins at.
fn instructions(text: &str) -> Vec<(usize, String)> {
    let mut instructions = vec![];
    let mut open: Option<(usize, String)> = None;
    for (place, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (part, goes_on) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        let (_, joined) = open.get_or_insert((place + 1, String::new()));
        joined.push_str(part);
        joined.push(' ');
        if !goes_on {
            instructions.extend(open.take());
        }
    }
    instructions.extend(open);
    instructions
}

/// `A=1 B="2"`, and the old `A 1`.
fn settings(text: &str) -> Vec<(&str, &str)> {
    let pairs = text.split_whitespace().filter_map(|word| word.split_once('='));
    let pairs: Vec<_> = pairs.map(|(name, value)| (name, value.trim_matches('"'))).collect();
    if pairs.is_empty() { text.split_once(' ').into_iter().collect() } else { pairs }
}

fn pipes_to_shell(command: &str) -> bool {
    let from_network = ["curl ", "wget "].iter().any(|tool| command.contains(tool));
    let mut piped = command.split('|').skip(1).filter_map(|part| {
        part.split_whitespace().find(|word| *word != "sudo" && !word.starts_with('-'))
    });
    from_network && piped.any(|tool| tool == "sh" || tool == "bash" || tool.ends_with("/sh"))
}
