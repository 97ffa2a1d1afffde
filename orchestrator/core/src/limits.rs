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

/// The longest a task may be asked to take.
pub const TIMEOUT_MAX_MS: i64 = 24 * 60 * 60 * 1_000;

/// Values in a plan file, aliases expanded: what keeps a YAML bomb from filling the memory.
pub const PLAN_VALUES_MAX: usize = 200_000;

/// Levels in a plan file; inputs are data, not programs.
pub const PLAN_DEPTH_MAX: usize = 32;

/// Problems reported of one plan; nobody reads the hundred-and-first.
pub const PLAN_PROBLEMS_MAX: usize = 100;

/// Characters of one expression. It must be read at a glance, and it bounds the parser's recursion.
pub const EXPRESSION_MAX_CHARS: usize = 1_000;

/// Levels of one expression; evaluation recurses this deep and no deeper.
pub const EXPRESSION_DEPTH_MAX: usize = 32;

/// Brackets open at once in one expression, counted before it is parsed: the parser recurses too.
pub const EXPRESSION_BRACKETS_MAX: usize = 16;

/// Values one evaluation may touch: a few milliseconds.
pub const EXPRESSION_STEPS_MAX: u64 = 1_000_000;

/// Bytes of a task's inputs once every expression in them has its value.
pub const INPUTS_MAX_BYTES: usize = 1024 * 1024;

/// Characters of a value that an error message repeats.
pub const SHOWN_MAX_CHARS: usize = 80;
