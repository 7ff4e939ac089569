//! Rules that map an activity to a class: their format, and the answer that they give. The built-in ones are data
//! (`rules/classes.toml`, which also documents the format); a user's file has the same format and comes first.

use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::Spanned;

use super::function::{function, tails};
use super::{Class, Kind, contains_any, glob};
use crate::Error;
use crate::model::CopyKind;

const BUILT_IN: &str = include_str!("../../rules/classes.toml");

/// The most bytes that a file of rules may have: what is larger was named by mistake.
const LARGEST: u64 = 1 << 20;

/// The most lists of ranges that the rules may name together: one bit each in [`Facts::launched_in`].
const MOST_LISTS: usize = 64;

/// One rule: all its conditions must hold.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    name: String,
    class: Class,
    kinds: Vec<Kind>,
    function: Vec<String>,
    text: Vec<String>,
    queue_role: Vec<String>,
    copy_kind: Vec<CopyKind>,
    /// Number of its list of ranges.
    launched_in: Option<usize>,
    of: Vec<Class>,
}

/// A rule as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    class: Class,
    kinds: Option<Vec<Kind>>,
    #[serde(default)]
    function: Vec<String>,
    #[serde(default)]
    text: Vec<String>,
    #[serde(default)]
    queue_role: Vec<String>,
    #[serde(default)]
    copy_kind: Vec<CopyKind>,
    #[serde(default)]
    launched_in: Vec<String>,
    #[serde(default)]
    of: Vec<Class>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Spanned<Written>>,
}

/// What the rules ask about one activity.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: &'a str,
    /// The role of its queue, where it is known.
    pub role: Option<&'a str>,
    /// Direction of a copy.
    pub copy_kind: Option<CopyKind>,
    /// Lists of `Rules::range_lists`, a bit each: its launching call began inside a range of that list.
    pub launched_in: u64,
}

/// Rules, the first first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    range_lists: Vec<Vec<String>>,
}

impl Rules {
    /// The rules that come with the program.
    pub fn built_in() -> &'static Self {
        // A test reads them; data that is embedded cannot change afterwards.
        static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::parse(BUILT_IN).unwrap_or_default());
        &RULES
    }

    /// The rules of a file, and after them the built-in ones.
    ///
    /// # Errors
    /// [`Error::Rules`] when the file cannot be read or is not of the format.
    pub fn with_file(path: &Path) -> Result<Self, Error> {
        let wrong = |reason: String, hint| Error::Rules { path: path.to_owned(), reason, hint };
        let text = read(path).map_err(|cause| wrong(cause.to_string(), "name a readable text file"))?;
        let mut rules = Self::parse(&text).map_err(|reason| wrong(reason, FORMAT))?;
        if rules.rules.is_empty() {
            return Err(wrong("it holds no rule".to_owned(), FORMAT));
        }
        for rule in &Self::built_in().rules {
            let list = rule.launched_in.map(|list| Self::built_in().range_lists[list].clone());
            let launched_in = rules.list(list.unwrap_or_default()).map_err(|reason| wrong(reason, FORMAT))?;
            rules.rules.push(Rule { launched_in, ..rule.clone() });
        }
        Ok(rules)
    }

    /// The rules of a text, or what is wrong with it and in which line.
    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| match error.span() {
            Some(span) => format!("{}: {}", place(text, &span), error.message()),
            None => error.message().to_owned(),
        })?;
        let mut rules = Self::default();
        for written in file.rule {
            let span = written.span();
            let rule = rules.rule(written.into_inner());
            let rule = rule.map_err(|reason| format!("{}: {reason}", place(text, &span)))?;
            rules.rules.push(rule);
        }
        Ok(rules)
    }

    fn rule(&mut self, written: Written) -> Result<Rule, String> {
        let Written { name, class, kinds, function, text, queue_role, copy_kind, launched_in, of } = written;
        if name.trim().is_empty() {
            return Err("the rule's name is empty".to_owned());
        }
        let lists = [&function, &text, &queue_role, &launched_in];
        let conditions = !copy_kind.is_empty() || !of.is_empty() || lists.iter().any(|list| !list.is_empty());
        if lists.iter().any(|list| list.iter().any(String::is_empty)) {
            return Err(format!("the rule {name:?} has an empty text in a list"));
        }
        if !conditions && kinds.is_none() {
            return Err(format!("the rule {name:?} has no condition, so that it would match every kernel"));
        }
        let kinds = kinds.unwrap_or_else(|| if of.is_empty() { vec![Kind::Kernel] } else { Kind::ALL.to_vec() });
        let launched_in = self.list(launched_in)?;
        Ok(Rule { name, class, kinds, function, text, queue_role, copy_kind, launched_in, of })
    }

    /// The number of a list of ranges, given when it is first seen; `None` for an empty one.
    fn list(&mut self, mut parts: Vec<String>) -> Result<Option<usize>, String> {
        if parts.is_empty() {
            return Ok(None);
        }
        for part in &mut parts {
            part.make_ascii_lowercase();
        }
        if let Some(known) = self.range_lists.iter().position(|list| *list == parts) {
            return Ok(Some(known));
        }
        if self.range_lists.len() == MOST_LISTS {
            return Err(format!("there are more than {MOST_LISTS} different lists of ranges"));
        }
        self.range_lists.push(parts);
        Ok(Some(self.range_lists.len() - 1))
    }

    /// Which lists of `launched_in` the name of a range belongs to, a bit each.
    pub fn lists_of(&self, range: &str) -> u64 {
        let lists = self.range_lists.iter().enumerate();
        let held = lists.filter(|(_, parts)| contains_any(range, parts)).map(|(list, _)| 1_u64 << list);
        held.fold(0, |bits, bit| bits | bit)
    }

    /// The rule for an activity, by its place; `None` where none matches (a kernel that counts as compute).
    pub fn find(&self, facts: &Facts) -> Option<u32> {
        let function = function(facts.name);
        let first = |asked: &dyn Fn(&Rule) -> bool| {
            self.rules.iter().position(|rule| asked(rule) && holds(rule, facts, &function)).map(|place| place as u32)
        };
        let base = first(&|rule| rule.of.is_empty());
        let class = base.map_or(Class::Compute, |base| self.class(base));
        first(&|rule| rule.of.contains(&class)).or(base)
    }

    /// The class that a rule gives; compute for a place without a rule.
    pub fn class(&self, rule: u32) -> Class {
        self.rules.get(rule as usize).map_or(Class::Compute, |rule| rule.class)
    }

    /// The names of the rules, in their order.
    pub fn names(&self) -> Vec<String> {
        self.rules.iter().map(|rule| rule.name.clone()).collect()
    }
}

const FORMAT: &str = "a rule is [[rule]] with name, class and conditions: kinds, function, text, queue_role, copy_kind, \
                      launched_in, of";

fn holds(rule: &Rule, facts: &Facts, function: &str) -> bool {
    let any = |globs: &[String], holds: &dyn Fn(&str) -> bool| globs.is_empty() || globs.iter().any(|glob| holds(glob));
    rule.kinds.contains(&facts.kind)
        && any(&rule.queue_role, &|role| facts.role == Some(role))
        && (rule.copy_kind.is_empty() || facts.copy_kind.is_some_and(|kind| rule.copy_kind.contains(&kind)))
        && rule.launched_in.is_none_or(|list| facts.launched_in & (1 << list) != 0)
        && any(&rule.text, &|wanted| glob::matches(wanted, facts.name))
        && any(&rule.function, &|wanted| tails(function).any(|tail| glob::matches(wanted, tail)))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(std::io::Error::other("it is larger than 1 MiB, which no file of rules is"));
    }
    Ok(text)
}

/// Number and text of the line where a span begins.
fn place(text: &str, span: &Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    let number = before.matches('\n').count();
    let line = text.lines().nth(number).unwrap_or_default().trim();
    let shown: String = line.chars().take(60).collect();
    format!("line {} ({shown})", number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str) -> Facts<'_> {
        Facts { kind: Kind::Kernel, name, role: None, copy_kind: None, launched_in: 0 }
    }

    fn with(text: &str) -> Result<Rules, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.toml");
        std::fs::write(&path, text).unwrap();
        Rules::with_file(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "my.toml"))
    }

    fn answer<'r>(rules: &'r Rules, facts: &Facts) -> (&'r str, Class) {
        rules.find(facts).map_or(("", Class::Compute), |rule| (&rules.rules[rule as usize].name, rules.class(rule)))
    }

    #[test]
    fn a_users_rules_come_before_the_built_in_ones() {
        let rules = with(
            "[[rule]]\nname = 'mine'\nclass = 'comm'\nfunction = ['my_send*', 'ncclDevKernel_AllReduce*']\n\
             [[rule]]\nname = 'peer'\nclass = 'comm'\nkinds = ['copy']\ncopy_kind = ['p2p']\n\
             [[rule]]\nname = 'fused'\nclass = 'comm'\ntext = ['*AllReduceEpilogue*']",
        )
        .unwrap();
        assert_eq!(answer(&rules, &facts("void my_send_all<int>(int)")), ("mine", Class::Comm));
        assert_eq!(answer(&rules, &facts("ncclDevKernel_AllReduce_Sum_f32_RING_LL(x)")), ("mine", Class::Comm));
        assert_eq!(answer(&rules, &facts("ncclDevKernel_SendRecv(x)")), ("nccl, rccl", Class::Comm));
        assert_eq!(answer(&rules, &facts("void cutlass::Kernel<AllReduceEpilogue>(x)")), ("fused", Class::Comm));
        let copy = |copy_kind| Facts { kind: Kind::Copy, copy_kind, ..facts("copy") };
        assert_eq!(answer(&rules, &copy(Some(CopyKind::P2p))), ("peer", Class::Comm));
        assert_eq!(answer(&rules, &copy(None)), ("copy", Class::Copy));
    }

    #[test]
    fn a_users_communication_is_kv_on_a_kv_queue_unless_a_rule_of_theirs_says_otherwise() {
        let mine = "[[rule]]\nname = 'mine'\nclass = 'comm'\nfunction = ['my_send*']\n";
        let stay = "[[rule]]\nname = 'stays'\nclass = 'comm'\nof = ['comm']\nfunction = ['my_send*']\n";
        let on_kv = Facts { role: Some("kv"), ..facts("my_send") };
        assert_eq!(answer(&with(mine).unwrap(), &on_kv), ("kv queue", Class::Kv));
        assert_eq!(answer(&with(&format!("{mine}{stay}")).unwrap(), &on_kv), ("stays", Class::Comm));
    }

    #[test]
    fn lists_of_ranges_of_both_files_keep_their_own_bits() {
        let rules = with("[[rule]]\nname = 'x'\nclass = 'kv'\nlaunched_in = ['My_Push']").unwrap();
        let (mine, built_in) = (rules.lists_of("step my_push 3"), rules.lists_of("KV_Transfer 7"));
        assert_eq!((mine.count_ones(), built_in.count_ones(), mine & built_in), (1, 1, 0));
        assert_eq!(answer(&rules, &Facts { launched_in: mine, ..facts("gather") }), ("x", Class::Kv));
        let nccl = facts("ncclDevKernel_SendRecv(x)");
        assert_eq!(answer(&rules, &Facts { launched_in: built_in, ..nccl }), ("kv range", Class::Kv));
        assert_eq!(rules.lists_of("prefill"), 0);
    }

    #[test]
    fn kv_ranges_of_the_rules_are_those_that_tell_phases() {
        assert_eq!(Rules::built_in().range_lists, [super::super::KV_RANGES]);
    }

    #[test]
    fn an_error_names_the_file_the_line_and_the_key() {
        for (text, wanted) in [
            ("[[rule]]\nname = 'a'\nclas = 'comm'", "my.toml: line 3 (clas = 'comm'): unknown field `clas`"),
            ("[[rule]]\nname = 'a'\nclass = 'network'\n", "line 3 (class = 'network'): unknown variant `network`"),
            ("[[rule]]\nname = 'a'\nclass = 'comm'\nfunction = 'x'", "line 4 (function = 'x'): invalid type"),
            ("[[rule]]\nname = 'a'\nclass = 'comm'\nkinds = ['kern']", "unknown variant `kern`"),
            ("[[rule]]\nclass = 'comm'\nfunction = ['x']", "line 1 ([[rule]]): missing field `name`"),
            ("\n[[rule]]\nname = 'a'\nclass = 'comm'\n", "line 2 ([[rule]]): the rule \"a\" has no condition"),
            ("[[rule]]\nname = ' '\nclass = 'comm'\nfunction = ['x']", "the rule's name is empty"),
            ("[[rule]]\nname = 'a'\nclass = 'comm'\nfunction = ['']", "an empty text in a list"),
            ("[[rules]]\nname = 'a'", "line 1 ([[rules]]): unknown field `rules`"),
            ("name = ", "line 1 (name =)"),
            ("", "it holds no rule"),
        ] {
            let error = with(text).unwrap_err();
            assert!(error.contains(wanted) && error.contains("(hint: a rule is"), "{text}: {error}");
        }
        let many: String = (0..65).fold(String::new(), |all, n| {
            all + "[[rule]]\nname = 'r'\nclass = 'kv'\nlaunched_in = ['x" + &n.to_string() + "']\n"
        });
        assert!(with(&many).unwrap_err().contains("more than 64 different lists"));
    }

    #[test]
    fn files_that_are_absent_folders_binary_or_huge_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("binary"), [0xff, 0xfe, 0x00]).unwrap();
        std::fs::write(path("huge"), " ".repeat((LARGEST + 1) as usize)).unwrap();
        for name in ["absent", ".", "binary", "huge"] {
            let error = Rules::with_file(&path(name)).unwrap_err().to_string();
            assert!(error.starts_with("cannot use the rules of") && error.contains("(hint: name a"), "{error}");
        }
    }
}
