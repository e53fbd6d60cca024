//! A finding that says how one thing stands, and what to do where it is not well.

use std::fmt;

use serde::Serialize;

/// How one thing stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    level: Level,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Fine,
    Warning,
    Problem,
}

// === impl Finding ===

impl Finding {
    /// It is as it should be.
    pub(super) fn fine(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, level: Level::Fine, what: what.into(), todo: None }
    }

    /// It works, or cannot be told from here, and somebody should know.
    pub(super) fn warning(
        check: &'static str,
        what: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Warning, what: what.into(), todo: Some(todo.into()) }
    }

    /// It does not work.
    pub(super) fn problem(
        check: &'static str,
        what: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Problem, what: what.into(), todo: Some(todo.into()) }
    }

    pub(super) fn is_problem(&self) -> bool {
        self.level == Level::Problem
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Fine => "fine",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        };
        write!(f, "{level:<8} {}: {}", self.check, self.what)?;
        match &self.todo {
            Some(todo) => write!(f, ": {todo}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_that_ends_with_what_to_do() {
        let fine = Finding::fine("clock", "it is right");
        assert_eq!(fine.to_string(), "fine     clock: it is right");
        let problem = Finding::problem("media port", "it is taken", "stop the other program");
        assert_eq!(problem.to_string(), "PROBLEM  media port: it is taken: stop the other program");
        assert!(problem.is_problem() && !fine.is_problem());
    }
}
