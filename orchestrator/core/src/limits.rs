//! Every bound of the core, with its reason. What two processes agree on is in the proto crate.

/// Attempts of a task whose plan names none: a component that restarts is back within two retries.
pub const ATTEMPTS_DEFAULT: u32 = 3;

/// Attempts a plan may ask for; beyond it a person should look instead.
pub const ATTEMPTS_MAX: u32 = 20;

/// Attempts at an undo before the workflow is stuck and a person is asked.
pub const UNDO_ATTEMPTS: u32 = 3;

/// The first pause before a retry; each further one is twice as long.
pub const RETRY_FIRST_MS: i64 = 1_000;

/// The longest pause before a retry: half a minute is soon enough for a component that is down.
pub const RETRY_LONGEST_MS: i64 = 30_000;

/// The highest priority of a plan, and below zero the lowest.
pub const PRIORITY_MAX: i32 = 10;

/// Who waits for a slot is served by age, and a step of priority is as good as this much of it: long
/// enough to matter where tasks take minutes. So nobody is overtaken by who came more than
/// [`OVERTAKEN_MAX_MS`] later.
pub const PRIORITY_STEP_MS: i64 = 60_000;

/// What the highest priority is worth against the lowest: the longest that a task which waits for a
/// slot may be overtaken by new ones.
pub const OVERTAKEN_MAX_MS: i64 = 2 * PRIORITY_MAX as i64 * PRIORITY_STEP_MS;

/// The longest a task may be asked to take.
pub const TIMEOUT_MAX_MS: i64 = 24 * 60 * 60 * 1_000;

/// Values in a plan file, aliases expanded: what keeps a YAML bomb from filling the memory.
pub const PLAN_VALUES_MAX: usize = 200_000;

/// Brackets open at once in the text of a YAML file: its scanner looks at every open one again with
/// every token, and knows no bound of its own.
pub const YAML_BRACKETS_MAX: usize = 256;

/// Expressions of one plan: five for each of its tasks. Each takes a parser some tens of microseconds.
pub const PLAN_EXPRESSIONS_MAX: usize = 10_000;

/// Characters of a place that a problem names, and of what is wrong there: an answer with every problem
/// of a plan fits into one message.
pub const PLACE_MAX_CHARS: usize = 200;
pub const PROBLEM_MAX_CHARS: usize = 500;

/// Names that a misspelt one is compared with: enough for a person's plan, and a generated one is
/// refused as fast.
pub const NAMES_COMPARED_MAX: usize = 256;

/// Levels in a plan file; inputs are data, not programs.
pub const PLAN_DEPTH_MAX: usize = 32;

/// Problems reported of one plan; nobody reads the hundred-and-first.
pub const PLAN_PROBLEMS_MAX: usize = 100;

/// Characters of one expression. It must be read at a glance, and it bounds the parser's recursion.
pub const EXPRESSION_MAX_CHARS: usize = 1_000;

/// Levels of one expression; evaluation recurses this deep and no deeper.
pub const EXPRESSION_DEPTH_MAX: usize = 32;

/// Brackets and choices within each other in one expression, counted by the parser as it goes down:
/// deeper, it would leave a worker thread's stack.
pub const EXPRESSION_BRACKETS_MAX: u16 = 16;

/// Values one evaluation may touch: a few milliseconds.
pub const EXPRESSION_STEPS_MAX: u64 = 1_000_000;

/// Characters of a value that an error message repeats.
pub const SHOWN_MAX_CHARS: usize = 80;
