//! The function in a kernel's name: `vllm::cross_device_reduce_1stage` in
//! `void vllm::cross_device_reduce_1stage<__half, 2>(vllm::RankData*, vllm::RankSignals, ...)`.
//!
//! Rules look at the function only: a template argument or a parameter may well hold the name of a collective
//! (`cutlass::Kernel<... AllReduce ...>` is a matrix product).

/// How compilers write a namespace without a name.
const UNNAMED: &[&str] = &["(anonymous namespace)::", "<unnamed>::", "{anonymous}::"];

/// The function of a name as a profiler wrote it: demangled, mangled, or plain. A name that was cut off inside its
/// template arguments keeps what stands before them.
pub(super) fn function(name: &str) -> String {
    if let Some(function) = mangled(name) {
        return function;
    }
    let name = UNNAMED.iter().fold(name.to_owned(), |name, unnamed| name.replace(unnamed, ""));
    // Only templates are written with their return type; a plain name may hold blanks of its own.
    let signature = name.contains(['<', '(']);
    let (mut function, mut depth) = (String::new(), 0_u32);
    for letter in name.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            '(' if depth == 0 => break,
            _ if depth == 0 => function.push(letter),
            _ => {}
        }
    }
    let function = function.trim();
    let function = if signature { function.rsplit(' ').next().unwrap_or(function) } else { function };
    if function.is_empty() { name } else { function.to_owned() }
}

/// The function of a name in the Itanium encoding, which writes each part with its length before it:
/// `_ZN4vllm26cross_device_reduce_1stageI6__halfLi2EEEvPv`.
fn mangled(name: &str) -> Option<String> {
    // Marks of a nested name, of a constant member and of internal linkage.
    const MARKS: [char; 4] = ['N', 'K', 'V', 'L'];
    let mut rest = name.strip_prefix("_Z")?.trim_start_matches(MARKS);
    let mut parts: Vec<&str> = Vec::new();
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let Ok(length) = rest[..digits].parse::<usize>() else { break };
        let Some(part) = rest[digits..].get(..length) else { break };
        // The namespace without a name.
        if !part.starts_with("_GLOBAL__N_") {
            parts.push(part);
        }
        rest = rest[digits + length..].trim_start_matches('L');
        if !name.starts_with("_ZN") {
            // What follows a name that is not nested are its parameters.
            break;
        }
    }
    (!parts.is_empty()).then(|| parts.join("::"))
}

/// A function and its tails: `a::b::c`, `b::c`, `c`.
pub(super) fn tails(function: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(function), |tail| tail.split_once("::").map(|(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_stands_without_return_type_arguments_and_parameters() {
        for (name, wanted) in [
            ("ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<(unsigned long)4096>)", "ncclDevKernel_SendRecv"),
            (
                "void vllm::cross_device_reduce_1stage<__half, 2>(vllm::RankData*, int)",
                "vllm::cross_device_reduce_1stage",
            ),
            (
                "void (anonymous namespace)::all_reduce_one_shot_push_kernel<__half, 8u, true>((anonymous namespace)::Data)",
                "all_reduce_one_shot_push_kernel",
            ),
            ("void <unnamed>::softmax_warp_forward<float, (int)3>(T1 *)", "softmax_warp_forward"),
            ("std::enable_if<(4)>4, void>::type ns::kernel<int>(int)", "ns::kernel"),
            ("void cutlass::Kernel<flux_x>(flux_x::Params)", "cutlass::Kernel"),
            ("void clover::par_reduce<256ul, __nv_dl_wrapper_t<__nv_dl_tag<void (*)(global", "clover::par_reduce"),
            ("triton_poi_fused_add_0", "triton_poi_fused_add_0"),
            ("layer 3 gemm", "layer 3 gemm"),
            ("<lambda>", "<lambda>"),
            ("", ""),
        ] {
            assert_eq!(function(name), wanted, "{name}");
        }
    }

    #[test]
    fn mangled_names_are_read_as_far_as_their_function() {
        for (name, wanted) in [
            ("_Z22ncclDevKernel_SendRecv24ncclDevKernelArgsStorageILm4096EE", "ncclDevKernel_SendRecv"),
            ("_ZN2at6native13reduce_kernelILi512ELi1ENS0_8ReduceOpIfEEEEvT1_", "at::native::reduce_kernel"),
            ("_ZN12_GLOBAL__N_14sendIfEEvPv", "send"),
            ("_ZL4sendPv", "send"),
            ("_Z", "_Z"),
            ("_Z99short", "_Z99short"),
            ("_Z99999999999999999999999x", "_Z99999999999999999999999x"),
        ] {
            assert_eq!(function(name), wanted, "{name}");
        }
    }

    #[test]
    fn tails_begin_after_each_namespace() {
        assert_eq!(tails("a::b::c").collect::<Vec<_>>(), ["a::b::c", "b::c", "c"]);
        assert_eq!(tails("").collect::<Vec<_>>(), [""]);
    }

    proptest::proptest! {
        #[test]
        fn no_name_makes_it_panic(name in "(_Z)?(N)?[0-9]{0,3}[a-zé_<>():, *]{0,24}") {
            let function = function(&name);
            proptest::prop_assert!(tails(&function).count() >= 1);
        }
    }
}
