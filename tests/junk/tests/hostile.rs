//! Texts made to fill a memory, overflow a stack or never end. Each goes through a process of its
//! own with little of either, and must come back refused or read.

#![cfg(test)]

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use deadelus_core::limits::PLAN_EXPRESSIONS_MAX;
use deadelus_proto::{
    limits::{PLAN_MAX_BYTES, PLAN_TASKS_MAX},
    pb,
};
use prost::Message as _;

/// What a process may map, in KiB: a tenth of what an unbounded reader takes from the worst of these.
const MEMORY_MAX_KIB: u64 = 256 * 1024;

/// Processor time, not the clock: a busy machine changes nothing. Unoptimised code is ten times slower
/// than what people run.
const PROCESSOR_MAX_SECONDS: u64 = 10;

/// `(reader, what it is, bytes, a part of the answer)`
type Case = (&'static str, &'static str, Vec<u8>, &'static str);

#[test]
fn nobody_falls_over_a_hostile_plan() {
    let cases: [Case; 23] = [
        ("plan", "a list of lists of lists", laughs(9, 9), "repetition"),
        ("plan", "one long text, named often", long_text_often(), "bytes of text"),
        ("plan", "an alias of itself", plan("params: &a { x: [*a] }"), "nested"),
        ("plan", "deep lists", deep("[", "]"), "brackets"),
        ("plan", "deep objects", deep("{a: ", "}"), "brackets"),
        ("plan", "deep block", deep_block(), "nested"),
        ("plan", "deep JSON", deep_json(), "nested"),
        ("plan", "many parameters", many("params:\n", "  p{}: 1\n"), "tasks"),
        ("plan", "many needs of nobody", needs_of_nobody(), "did you mean"),
        ("plan", "many tasks of no kind", many("tasks:\n", TASK_OF_NO_KIND), "at most"),
        ("plan", "a long chain", chain_of_tasks(usize::MAX), "at most"),
        ("plan", "the longest chain there may be", chain_of_tasks(PLAN_TASKS_MAX), "read"),
        ("plan", "everything needs everything", everything_needs_everything(), "read"),
        ("plan", "many keys too many", many("tasks:\n  a:\n", "    k{}: 1\n"), "tasks.a"),
        ("plan", "a key of half a megabyte", long_key(), "line 2"),
        ("plan", "an id of half a megabyte", long_id(), "task id"),
        ("plan", "many expressions", expressions(120_000), "at most"),
        ("plan", "as many expressions as may be", expressions(PLAN_EXPRESSIONS_MAX), "read"),
        ("plan", "many merges", plan(&"<<: {a: 1}\n".repeat(30_000)), "twice"),
        ("plan", "tags", plan(&format!("x: {} 1", "!!set ".repeat(50_000))), "line 4"),
        ("plan", "nothing but anchors", "&a ".repeat(150_000).into(), ""),
        ("plan", "too long", vec![b'#'; PLAN_MAX_BYTES + 1], "bytes"),
        ("checked-plan", "deep inputs", checked_with(&nested("[", "]", 100_000)), "recursion"),
    ];
    for case in cases {
        comes_back(&case);
    }
}

#[test]
fn nobody_falls_over_a_hostile_expression() {
    let long = |text: &str| text.repeat(1_000 / text.len());
    let closed = |open: &str, middle: &str, close: &str| {
        let levels = 990 / (open.len() + close.len());
        format!("{}{middle}{}", open.repeat(levels), close.repeat(levels))
    };
    let cases = [
        ("nots", format!("{}true", long("!").split_at(900).0)),
        ("minuses", format!("{}1", long("-").split_at(900).0)),
        ("brackets", closed("(", "1", ")")),
        ("brackets behind a text", closed("(')'+", "'x'", ")")),
        ("lists behind a text", closed("[']',", "1", "]")),
        ("objects", closed("{1:", "1", "}")),
        ("choices", format!("{}1", long("true?1:"))),
        ("choices in choices", closed("true?", "1", ":1")),
        ("sums", format!("{}1", long("1+"))),
        ("fields", format!("params{}", long(".a").split_at(900).0)),
        ("indexes", format!("params{}", long("[0]").split_at(900).0)),
        ("indexes in indexes", closed("params.a[", "0", "]")),
        ("calls", closed("size(", "1", ")")),
        ("opened only", long("(")),
        ("opened behind texts", long("(')'+")),
        ("texts never closed", long("'")),
        ("comparisons", format!("{}1", long("1<"))),
        ("ins", format!("{}1", long("1 in "))),
        ("and or", format!("{}true", long("true&&false||"))),
        ("folds", closed("[1,2,3,4].map(x,", "1", ")")),
        ("many folds", format!("[1,1]{}", ".map(x,[x,x])".repeat(60))),
        ("growing texts", format!("['xxxxxxxxxxxxxxxx']{}", ".map(x,x+x+x+x)".repeat(60))),
        ("texts that grow to the end", format!("['xxxxxxxx']{}", ".map(x,x+x+x+x)".repeat(25))),
        ("lists that grow to the end", format!("[1,1]{}", ".map(x,[x,x,x])".repeat(25))),
        ("huge numbers", "9".repeat(999)),
        ("huge fractions", format!("1e{}", "9".repeat(900))),
        ("escapes", format!("'{}'", long("\\u0041").split_at(900).0)),
        ("comments", long("//x\n")),
        ("blanks", long(" ")),
        ("wide", "ü".repeat(1_000)),
        ("messages", long("a{b:").split_at(900).0.to_owned()),
        ("templates", long("${").split_at(900).0.to_owned()),
    ];
    for (what, text) in cases {
        comes_back(&("expression", what, text.into_bytes(), ""));
    }
}

#[test]
fn nobody_falls_over_a_hostile_message() {
    let deep = nested("[", "]", 200_000);
    let undo = pb::Undo {
        capability: "t.unmake".to_owned(),
        inputs_json: deep.clone().into(),
        undo_class: pb::UndoClass::Exact.into(),
        residue: vec![],
    };
    let report = pb::TaskReport {
        workflow_id: "wf".to_owned(),
        task_id: "make".to_owned(),
        attempt: 1,
        direction: pb::Direction::Do.into(),
        news: Some(pb::task_report::News::UndoRecorded(undo)),
        ..pb::TaskReport::default()
    };
    let inbound = pb::Inbound {
        message: Some(pb::inbound::Message::Report(report)),
        ..pb::Inbound::default()
    };
    let start = pb::StartWorkflow {
        plan_json: checked_with(&format!("[{}1]", "[],".repeat(280_000))).into(),
        plan_digest: "0".repeat(64),
        submitted_by: String::new(),
    };
    let start =
        pb::Inbound { message: Some(pb::inbound::Message::Start(start)), ..pb::Inbound::default() };
    let beat = pb::Heartbeat {
        in_hand: vec![pb::TaskInHand::default(); 400_000],
        ..pb::Heartbeat::default()
    };
    let wish = pb::PlanRequest {
        request: "slow ".repeat(180_000),
        target: "shop".to_owned(),
        params: (0..20_000).map(|n| (format!("p{n}"), String::new())).collect(),
        ..pb::PlanRequest::default()
    };
    let cases: [Case; 10] = [
        ("inbound", "a way back without a bottom", inbound.encode_to_vec(), "undo.inputs_json"),
        ("inbound", "a plan of nothing but lists", start.encode_to_vec(), ""),
        ("inbound", "groups in groups", vec![0x0b; 900_000], ""),
        ("inbound", "messages in messages", lengths(&[0x22, 0x0a], 300), ""),
        ("inbound", "a length that is not there", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f].into(), ""),
        ("inbound", "the longest length", [&[0x0a][..], &[0xff; 9], &[0x01]].concat(), ""),
        ("heartbeat", "a hand with everything", beat.encode_to_vec(), ""),
        ("wish", "many words and parameters", wish.encode_to_vec(), ""),
        ("log", "many empty decisions", [0x12, 0x00].repeat(400_000), ""),
        ("subject", "many tokens", "deadelus.v1.".repeat(80_000).into(), ""),
    ];
    for case in cases {
        comes_back(&case);
    }
}

/// Sends it through the process and looks at what it says.
fn comes_back((reader, what, bytes, part): &Case) {
    let limits = format!("ulimit -v {MEMORY_MAX_KIB} && ulimit -t {PROCESSOR_MAX_SECONDS}");
    let mut child = Command::new("sh")
        .args(["-c", &format!("{limits} && exec \"$0\" \"$1\"")])
        .args([env!("CARGO_BIN_EXE_read-junk"), *reader])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who has read enough closes early.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let shown: String = said.chars().take(300).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{reader}, {what}: {} {shown} {errors}", output.status);
    assert!(said.contains(part), "{reader}, {what}: {part:?} is not in {shown}");
}

/// One of them, by its number.
const TASK_OF_NO_KIND: &str = "  t{}: { does: t.lok, title: T }\n";

fn plan(rest: &str) -> Vec<u8> {
    format!("deadelus: 1\ntitle: T\ntarget: shop\n{rest}\n").into()
}

/// As many lines of a kind as a plan file holds.
fn many(head: &str, line: &str) -> Vec<u8> {
    let mut lines = head.to_owned();
    for n in 0.. {
        let line = line.replace("{}", &n.to_string());
        if lines.len() + line.len() > PLAN_MAX_BYTES - 100 {
            break;
        }
        lines.push_str(&line);
    }
    plan(&lines)
}

fn nested(open: &str, close: &str, levels: usize) -> String {
    format!("{}1{}", open.repeat(levels), close.repeat(levels))
}

fn deep(open: &str, close: &str) -> Vec<u8> {
    plan(&format!("params: {{ x: {} }}", nested(open, close, 60_000)))
}

fn deep_json() -> Vec<u8> {
    format!(r#"{{"deadelus":1,"x":{}}}"#, nested("[", "]", 200_000)).into()
}

fn deep_block() -> Vec<u8> {
    let line = |level: usize| format!("{}a:\n", " ".repeat(level));
    plan(&format!("params:\n{}", (1..900).map(line).collect::<String>()))
}

/// Every list holds the one before it, so many times.
fn laughs(levels: usize, times: usize) -> Vec<u8> {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..=levels {
        let before = format!("*a{}", level - 1);
        let items = vec![before.as_str(); times].join(", ");
        let _ = writeln!(text, "a{level}: &a{level} [{items}]");
    }
    plan(&text)
}

/// Few values, but each of them long.
fn long_text_often() -> Vec<u8> {
    let text = "x".repeat(PLAN_MAX_BYTES / 2);
    plan(&format!("params: {{ a: &a {text}, b: [{}] }}", "*a,".repeat(70_000)))
}

fn long_key() -> Vec<u8> {
    format!("deadelus: 1\n{}: 1", "k".repeat(400_000)).into()
}

fn long_id() -> Vec<u8> {
    let id = "k".repeat(400_000);
    let head = r#""deadelus":1,"title":"T","target":"shop""#;
    format!(r#"{{{head},"tasks":{{"{id}":{{"does":"t.look","title":"T"}}}}}}"#).into()
}

fn needs_of_nobody() -> Vec<u8> {
    let task = |n: usize| format!("  a-task-of-some-name-{n}: {{ does: t.look, title: T }}\n");
    let tasks: String = (0..1_500).map(task).collect();
    let head = format!("tasks:\n{tasks}  last:\n    does: t.look\n    title: T\n    needs:\n");
    many(&head, "    - a-tusk-of-some-name-{}\n")
}

/// Each needs the one before it and reads the first.
fn chain_of_tasks(longest: usize) -> Vec<u8> {
    let mut text = "tasks:\n  t0: { does: t.look, title: T }\n".to_owned();
    for n in 1..longest {
        let (before, when) = (n - 1, "tasks.t0.status == 'done'");
        let task = format!("{{ does: t.look, title: T, needs: [t{before}], when: {when} }}");
        let line = format!("  t{n}: {task}\n");
        if text.len() + line.len() > PLAN_MAX_BYTES - 100 {
            break;
        }
        text.push_str(&line);
    }
    plan(&text)
}

/// As many needs as a plan file holds, and each task reads the first.
fn everything_needs_everything() -> Vec<u8> {
    let task = |n: usize| {
        let needs: String = (0..n).map(|before| format!("t{before},")).collect();
        format!(
            "  t{n}: {{ does: t.look, title: T, needs: [{needs}], when: tasks.t0.status == 'done' }}\n"
        )
    };
    let later: String = (1..350).map(task).collect();
    plan(&format!("tasks:\n  t0: {{ does: t.look, title: T }}\n{later}"))
}

fn expressions(count: usize) -> Vec<u8> {
    let each = "${1}".repeat(count);
    plan(&format!("tasks: {{ a: {{ does: t.look, title: T, inputs: {{ text: '{each}' }} }} }}"))
}

/// A plan as it travels, with these inputs of its one task.
fn checked_with(inputs: &str) -> Vec<u8> {
    let task = format!(r#"{{"does":"t.look","title":"T","inputs":{{"any":{inputs}}}}}"#);
    let head = r#""deadelus":1,"title":"T","target":"shop""#;
    format!(r#"{{"capabilities":{{}},"plan":{{{head},"tasks":{{"a":{task}}}}}}}"#).into()
}

/// A message in a message in a message.
fn lengths(tags: &[u8], levels: usize) -> Vec<u8> {
    let mut bytes = vec![];
    for level in 0..levels {
        let mut outer = vec![tags[level % tags.len()]];
        prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
        outer.extend_from_slice(&bytes);
        bytes = outer;
    }
    bytes
}
