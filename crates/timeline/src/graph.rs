//! Graphs of operations: earliest schedule, critical path, slack, and what would change if an operation took no time.
