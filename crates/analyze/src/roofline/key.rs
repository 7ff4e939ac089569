//! Identity of a kernel across tools: what the demanglers spell differently is brought to one spelling.
//!
//! ncu prints `void ns::k<(int)4, (bool)1, <unnamed>::F>(T1, T2)`, CUPTI and c++filt
//! `void ns::k<4, true, (anonymous namespace)::F>(float*, int)`, nsys often the bare `k`. Mangled names (`_Z...`) stay as
//! they are: without a demangler nothing is known about them.

/// The three keys of a name, from the most to the least particular.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Namespace, name and template arguments.
    pub(crate) full: String,
    /// Where the name without its namespace begins in [`Key::full`].
    local: usize,
    /// Where its template arguments begin in [`Key::full`].
    arguments: usize,
}

impl Key {
    /// The keys of a name.
    pub(crate) fn of(name: &str) -> Self {
        if name.starts_with("_Z") {
            return Self { full: name.to_owned(), local: 0, arguments: name.len() };
        }
        let spelled = spelled(&without_parentheses(&same_words(name)));
        let full = last_top_level(&spelled, " ").to_owned();
        let local = full.len() - last_top_level(&full, "::").len();
        let arguments = full[local..].find('<').map_or(full.len(), |at| local + at);
        Self { full, local, arguments }
    }

    /// Name and template arguments.
    pub(crate) fn local(&self) -> &str {
        &self.full[self.local..]
    }

    /// The name alone.
    pub(crate) fn base(&self) -> &str {
        &self.full[self.local..self.arguments]
    }

    /// Whether it says its namespace.
    pub(crate) fn has_namespace(&self) -> bool {
        self.local > 0
    }

    /// Whether it says its template arguments.
    pub(crate) fn has_arguments(&self) -> bool {
        self.arguments < self.full.len()
    }
}

/// One spelling for what tools call differently; `(instance 1)` is how NVIDIA numbers the lambdas of a function.
fn same_words(name: &str) -> String {
    let name = name.strip_suffix(".kd").unwrap_or(name);
    let mut text = name.to_owned();
    for (theirs, ours) in [
        ("(anonymous namespace)", "@anonymous"),
        ("<unnamed>", "@anonymous"),
        // A page that went through a shell which took the bracket for a redirection.
        ("unnamed>::", "@anonymous::"),
        ("{anonymous}", "@anonymous"),
        ("(instance ", "#("),
        ("[abi:cxx11]", ""),
    ] {
        if text.contains(theirs) {
            text = text.replace(theirs, ours);
        }
    }
    text
}

/// Without anything in parentheses: parameter lists, and the casts `(int)` of template arguments. Only the number of a
/// lambda, `#(1)` by now, keeps what is inside.
fn without_parentheses(name: &str) -> String {
    let (mut text, mut depth, mut number) = (String::with_capacity(name.len()), 0_usize, false);
    for letter in name.chars() {
        match letter {
            '(' if depth == 0 && text.ends_with('#') => number = true,
            ')' if number => number = false,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => text.push(letter),
            _ => {}
        }
    }
    text
}

/// Words one by one: `const` stands before or after a type by taste, `true` is 1, `4ul` is 4; a space stays only between
/// two words.
fn spelled(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
        if length == 0 {
            match first {
                // One bracket for a lambda of any tool.
                '[' => text.push('{'),
                ']' => text.push('}'),
                other if !other.is_whitespace() => text.push(other),
                _ => {}
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let word = match &rest[..length] {
            "const" => "",
            "true" => "1",
            "false" => "0",
            word if word.starts_with(|letter: char| letter.is_ascii_digit()) => {
                word.trim_end_matches(['u', 'U', 'l', 'L'])
            }
            word => word,
        };
        let touches = text.chars().last().is_some_and(|last| is_word(last) || last == '>');
        let spaced = name.len() > rest.len() && name[..name.len() - rest.len()].ends_with(char::is_whitespace);
        if !word.is_empty() && touches && spaced {
            text.push(' ');
        }
        text.push_str(word);
        rest = &rest[length..];
    }
    text
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '@'
}

/// What follows the last separator outside of all brackets. The two kinds are counted apart and never below zero: pages
/// exist whose names lost a bracket.
fn last_top_level<'a>(text: &'a str, separator: &str) -> &'a str {
    let (mut angles, mut braces, mut from) = (0_u32, 0_u32, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => angles += 1,
            '>' => angles = angles.saturating_sub(1),
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            _ if angles == 0 && braces == 0 && text[at..].starts_with(separator) => from = at + separator.len(),
            _ => {}
        }
    }
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(a: &str, b: &str) {
        assert_eq!(Key::of(a), Key::of(b));
    }

    #[test]
    fn ncu_and_cupti_spell_one_template_differently() {
        same(
            "void at::native::vectorized_elementwise_kernel<(int)4, at::native::FillFunctor<c10::BFloat16>, std::array<char *, (unsigned long)1>>(int, T2, T3)",
            "void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<c10::BFloat16>, std::array<char*, 1ul> >(int, at::native::FillFunctor<c10::BFloat16>, std::array<char*, 1ul>)",
        );
        same("void k<(bool)1, (int)-1>(const float *)", "void k<true, -1>(float const*)");
        same("unnamed>::saxpy_kernel(float)", "<unnamed>::saxpy_kernel(float)");
        same(
            "void <unnamed>::softmax_warp<float, (bool)0>(T1 *)",
            "void (anonymous namespace)::softmax_warp<float, false>(float*)",
        );
    }

    #[test]
    fn lambdas_of_both_demanglers_are_one() {
        same(
            "void at::native::elementwise_kernel<(int)128, at::native::gpu_kernel_impl<F>(at::TensorIteratorBase &, const T1 &)::[lambda(int) (instance 1)]>(int, T3)",
            "void at::native::elementwise_kernel<128, at::native::gpu_kernel_impl<F>(at::TensorIteratorBase&, F const&)::{lambda(int)#1}>(int, T)",
        );
        assert_ne!(Key::of("k<f()::{lambda(int)#1}>()"), Key::of("k<f()::{lambda(int)#2}>()"));
    }

    #[test]
    fn a_name_has_a_namespace_arguments_and_a_base() {
        let key = Key::of("void cutlass::Kernel2<cutlass_80::gemm_256x128>(T1::Params)");
        assert_eq!(key.full, "cutlass::Kernel2<cutlass_80::gemm_256x128>");
        assert_eq!((key.local(), key.base()), ("Kernel2<cutlass_80::gemm_256x128>", "Kernel2"));
        let returns = Key::of("std::enable_if<!(T7), void>::type internal::gemvx<int, float>(T9)");
        assert_eq!(returns.full, "internal::gemvx<int,float>");
        for plain in ["saxpy", "saxpy(int, float, float *, float *)", "void saxpy(int)", "saxpy.kd"] {
            assert_eq!(Key::of(plain).full, "saxpy", "{plain}");
        }
        assert!(!Key::of("saxpy").has_namespace() && !Key::of("saxpy").has_arguments());
        assert_eq!(Key::of("_Z5saxpyifPfS_").base(), "_Z5saxpyifPfS_");
    }

    #[test]
    fn a_name_that_lost_a_bracket_keeps_its_base() {
        let lost = "void unrolled<copy(T &)::[lambda() (instance 3)]::operator ()() lambda(float) (instance 1)], Offset<1, unsigned int>>(int, T1)";
        assert_eq!(Key::of(lost).base(), "unrolled");
    }

    #[test]
    fn words_stay_apart_where_they_were() {
        assert_eq!(Key::of("k<unsigned int, const unsigned long &>").full, "k<unsigned int,unsigned long&>");
    }

    proptest! {
        #[test]
        fn any_text_has_a_key(name in "[a-z<>(){}: \\[\\]#é_Z0-9]{0,40}") {
            let key = Key::of(&name);
            prop_assert!(key.full.ends_with(key.local()) && key.local().starts_with(key.base()));
        }
    }
}
