//! The binary from outside: golden artifacts through the commands, known answers, bad input.

mod cli {
    pub(crate) mod bad_input;
    pub(crate) mod counted;
    pub(crate) mod documentation;
    pub(crate) mod engine_targets;
    pub(crate) mod golden;
    pub(crate) mod import;
    pub(crate) mod import_bad_input;
    pub(crate) mod interrupted;
    pub(crate) mod known_answers;
    pub(crate) mod roofline;
    pub(crate) mod router_pair;
    pub(crate) mod routing_targets;
    pub(crate) mod rules;
    pub(crate) mod simulate;
    pub(crate) mod support;
}
