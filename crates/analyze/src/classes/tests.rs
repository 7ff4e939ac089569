//! The built-in rules on real names, as profilers and sources write them, each rule with near misses.

use super::*;

fn answer(facts: &Facts) -> (String, Class) {
    let rules = Rules::built_in();
    rules
        .find(facts)
        .map_or((String::new(), Class::Compute), |rule| (rules.names()[rule as usize].clone(), rules.class(rule)))
}

fn facts(kind: Kind, name: &str) -> Facts<'_> {
    Facts { kind, name, role: None, copy_kind: None, launched_in: 0 }
}

fn kernel(name: &str) -> (String, Class) {
    answer(&facts(Kind::Kernel, name))
}

/// Each name is communication, by that rule.
fn comm(rule: &str, names: &[&str]) {
    for name in names {
        assert_eq!(kernel(name), (rule.to_owned(), Class::Comm), "{name}");
    }
}

/// Each name is compute.
fn compute(names: &[&str]) {
    for name in names {
        assert_eq!(kernel(name).1, Class::Compute, "{name}");
    }
}

#[test]
fn the_built_in_rules_are_of_the_format_and_have_each_name_once() {
    let mut names = Rules::built_in().names();
    assert!(names.len() > 20, "the rules could not be read: {}", names.len());
    names.sort();
    names.dedup();
    assert_eq!(names.len(), Rules::built_in().names().len());
}

#[test]
fn ranges_of_kv_transfers_are_known_by_a_part_of_their_name() {
    for name in ["LMCacheEngine.store", "KV_transfer request 7", "start_load_kv", "nixl_post"] {
        assert_eq!(Rules::built_in().lists_of(name), 1, "{name}");
    }
    for name in ["prefill", "kv_cache", "reshape_and_cache", "save", "all_reduce"] {
        assert_eq!(Rules::built_in().lists_of(name), 0, "{name}");
    }
}

#[test]
fn nccl_and_rccl() {
    comm(
        "nccl, rccl",
        &[
            "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<(unsigned long)4096>)",
            "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
            "ncclKernel_AllReduce_RING_LL_Sum_float(ncclWorkElem)",
            "ncclKernel_SendRecv_RING_SIMPLE_Sum_int8_t(ncclDevComm*, unsigned long, ncclWork*)",
            "ncclAllReduceRingLLKernel_sum_f32(ncclColl)",
            "ncclSymkDevKernel_AllReduce_AGxLL_R_sum_f32(ncclSymkDevWorkArgs4K)",
            "ncclDevKernel_Generic_4(ncclDevKernelArgsStorage<4096ul>)",
            "_Z22ncclDevKernel_SendRecv24ncclDevKernelArgsStorageILm4096EE",
        ],
    );
    compute(&["void my::after_nccl_wait<int>(int)", "void at::native::elementwise_kernel<ncclDevKernel>(int)"]);
}

#[test]
fn mscclpp_nvshmem_and_symmetric_memory() {
    comm(
        "mscclpp, msccl",
        &[
            "void mscclpp::collective::allreducePacket<float>(float*)",
            "mscclpp::collective::allgatherFullmesh2",
            "mscclKernel_Sum_half_Simple_false(ncclDevComm*, mscclAlgo*, mscclWork*)",
        ],
    );
    comm(
        "nvshmem, rocshmem",
        &[
            "void barrier_on_stream_kernel_threadgroup<(threadgroup_t)1>(int, int)",
            "void nvshmemi_init_array_kernel<int>(int*, int, int)",
            "void c10d::nvshmem_extension::nvshmem_put_kernel(int)",
        ],
    );
    comm(
        "torch symmetric memory",
        &[
            "void c10d::symmetric_memory::(anonymous namespace)::two_shot_all_reduce_kernel<float, 16, 8>(float**)",
            "c10d::symmetric_memory::barrier_kernel(unsigned int**, int, int, int, unsigned long)",
            "void (anonymous namespace)::one_shot_all_reduce_kernel<c10::BFloat16, 16, 8>(c10::BFloat16**)",
            "void multimem_all_reduce_kernel<c10::BFloat16, 16>(c10::BFloat16*)",
        ],
    );
    compute(&["barrier_kernel", "void sync_stream_kernel(int)", "msccl", "void mine::one_shot_gemm<int>(int)"]);
}

#[test]
fn all_reduces_of_serving_engines() {
    comm(
        "custom all-reduce",
        &[
            "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 8>(vllm::RankData*, vllm::RankSignals)",
            "void sglang::cross_device_reduce_2stage<__half, 8>(sglang::RankData*, sglang::RankSignals)",
            "void aiter::cross_device_reduce_2stage<__hip_bfloat16, 8>(aiter::RankData*)",
            "_ZN4vllm26cross_device_reduce_1stageI13__nv_bfloat16Li2EEEvPNS_8RankDataE",
            "void sglang::all_reduce_1shot_push_kernel<Impl, __nv_bfloat16, 8u, true>(Params)",
            "all_reduce_2shot_pull_kernel",
            "void (anonymous namespace)::all_reduce_one_shot_push_kernel<__nv_bfloat16, 8u, true>((anonymous namespace)::AllReducePushData, device::distributed::PushController)",
            "void quickreduce::allreduce_prototype_twoshot<AllReduceTwoshot<__half, CodecQ4<__half,8>, true>, __half>(__half const*)",
        ],
    );
    comm(
        "fused all-reduce",
        &[
            "void flashinfer::trtllm_allreduce_fusion::allreduce_fusion_kernel_oneshot_lamport<(flashinfer::trtllm_allreduce_fusion::AllReduceFusionPattern)1, __nv_bfloat16, 8, false, false>(Params)",
            "void flashinfer::trtllm_mnnvl_allreduce::twoshotAllreduceKernel<8, __nv_bfloat16>(int)",
            "flashinfer::trtllm_mnnvl_allreduce::rmsNormLamport",
            "aiter::allreduce_fusion_kernel_1stage",
            "moefinalize_allreduce_fusion_kernel_oneshot_lamport",
            "void tensorrt_llm::kernels::oneShotAllReduceKernel<__half, 8, true, false>(AllReduceParams)",
            "void tensorrt_llm::kernels::twoShotAllReduceKernel<__half, 8>(AllReduceParams)",
            "void tensorrt_llm::kernels::reduce_fusion::lamport_style_one_shot_all_reduce_norm_kernel<1, __half, 8>(AllReduceParams)",
            "userbuffers_fp16_sum_inplace_gpu_rw_ag",
            "kuserbuffers_pushsend",
        ],
    );
    compute(&[
        "void cross_entropy_reduce_1stage<float>(float*)",
        "lamport_initialize_kernel",
        "void vllm::rms_norm_kernel<c10::BFloat16>(c10::BFloat16*)",
        "void cutlass::device_kernel<cutlass::gemm::kernel::AllReduceEpilogue>(Params)",
    ]);
}

#[test]
fn exchanges_between_experts() {
    comm(
        "deepep",
        &[
            "void deep_ep::internode_ll::dispatch<true, false, 7168>(void*, float*)",
            "void deep_ep::intranode::combine<__nv_bfloat16, 8, 768>(__nv_bfloat16*)",
            "void primus_turbo::deep_ep::internode::notify_dispatch<false, 2>(int const*)",
            "hybrid_ep::device_sync_kernel",
        ],
    );
    comm(
        "pplx",
        &[
            "void a2a_dispatch_send_kernel<16ul, true>(unsigned long)",
            "void combineKernel<__nv_bfloat16, 8ul, true, true>(int)",
        ],
    );
    comm(
        "expert exchange",
        &[
            "void tensorrt_llm::kernels::mnnvl_throughput::moeA2ADispatchKernel<Policy, 8>(int)",
            "EpDispatchIntraNodeKernel_bf16",
            "EpCombineIntraNodeKernel_bf16_nop2p",
        ],
    );
    compute(&[
        "void deep_ep::layout::get_dispatch_layout<256, 4, 8>(long const*)",
        "moeA2APrepareDispatchKernel",
        "void flash_fwd_mla_combine_kernel<float>(Params)",
        "flash_fwd_splitkv_combine_kernel",
        "moe_combine_kernel",
    ]);
}

#[test]
fn transfer_engines() {
    comm("nixl", &["void nixl_ep::ep_kernels::dispatch<true>(int)", "nixlGpuPostSingleWrite"]);
    comm(
        "ucx, ucc",
        &["void ucp_perf_cuda_put_multi_bw_kernel<(ucs_device_level_t)0>(int)", "ucc_ec_cuda_executor_kernel"],
    );
    comm("mooncake", &["mooncake::enqueueTaskKernel(c10d::OpType, unsigned long)"]);
    compute(&["unixl_kernel", "product_kernel", "conduct_kernel"]);
}

#[test]
fn other_kernels_named_after_a_collective() {
    comm(
        "collective by name",
        &[
            "void sglang::reduce_scatter_registered<4, true>(int)",
            "_all_gather_kernel_inner",
            "all_to_all_intra_ll_kernel",
            "comms::pipes::benchmark::ibgda_send_recv_kernel(P2pIbgdaTransportDevice*)",
            "OneShotAllReduceKernelSingleBlock",
        ],
    );
    compute(&[
        "triton_poi_fused__to_copy_all_reduce_scalar_tensor_stack_0",
        "void block_all_reduce_sum_f32x4_f32_kernel<64>(float*, float*, int)",
        "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float, at::native::MeanOps<float>>>(x)",
        "void at::native::vectorized_gather_kernel<16, long>(char*, char*, long*)",
        "void at::native::_scatter_gather_elementwise_kernel<128, 4>(int)",
        "void at::native::scatter_reduce_kernel<int>(int)",
        "void cublasLt::splitKreduce_kernel<32, 16, int, float>(x)",
        "void clover::par_reduce_kernel<calc_dt_kernel(global_variables &)::[lambda(int) (instance 1)]>(T1)",
        "void fft2d_r2c_32x32<float, false, 5u, true>(float2*, float const*, cudnn::reduced_divisor)",
        "small_gather_kernel",
        "overall_reduce_kernel",
    ]);
}

#[test]
fn known_compute_has_a_rule_and_the_rest_is_unclassified() {
    for (name, rule) in [
        ("void at::native::vectorized_elementwise_kernel<4, f>(int)", "pytorch"),
        ("nvjet_tst_192x192_64x4_1x2_h_bz_coopA_NNT", "matrix product"),
        ("Cijk_Ailk_Bljk_BBS_BH_Bias_HAS_SAV_UserArgs_MT16x16x256", "matrix product"),
        ("void flash_fwd_kernel<Flash_fwd_kernel_traits<128>>(Flash_fwd_params)", "attention"),
        ("void cudnn::cnn::conv2d_grouped<float>(int)", "convolution"),
        ("_ZN7ck_tile6kentryILi2ENS_38FmhaBatchPrefillWithPagedKVCacheKernelI", "composable kernel"),
        ("jacobi_kernel", ""),
        ("my_send", ""),
    ] {
        assert_eq!(kernel(name), (rule.to_owned(), Class::Compute), "{name}");
    }
}

#[test]
fn copies_sets_syncs_and_graphs_have_the_class_of_their_kind() {
    for (kind, class) in [(Kind::Copy, Class::Copy), (Kind::Set, Class::Set), (Kind::Sync, Class::Sync)] {
        assert_eq!(answer(&facts(kind, "nccl")).1, class);
    }
    assert_eq!(answer(&facts(Kind::Graph, "ncclDevKernel")), ("graph".to_owned(), Class::Compute));
}

#[test]
fn a_copy_or_communication_is_kv_by_its_queue_or_by_its_launching_range() {
    let kv = Rules::built_in().lists_of("kv_transfer request 7");
    let class = |kind, name, role, launched_in| answer(&Facts { role, launched_in, ..facts(kind, name) }).1;
    assert_eq!(class(Kind::Copy, "memcpy", Some("kv"), 0), Class::Kv);
    assert_eq!(class(Kind::Copy, "memcpy", Some("copy"), kv), Class::Kv);
    assert_eq!(class(Kind::Copy, "memcpy", Some("comm"), kv), Class::Kv);
    assert_eq!(class(Kind::Copy, "memcpy", Some("comm"), 0), Class::Comm);
    assert_eq!(class(Kind::Copy, "memcpy", Some("copy"), 0), Class::Copy);
    assert_eq!(class(Kind::Kernel, "ncclDevKernel_SendRecv", None, kv), Class::Kv);
    assert_eq!(class(Kind::Kernel, "ncclDevKernel_SendRecv", Some("kv"), 0), Class::Kv);
    assert_eq!(class(Kind::Kernel, "send", Some("comm"), 0), Class::Comm);
    assert_eq!(class(Kind::Kernel, "send", Some("comm"), kv), Class::Kv);
    // Near misses: neither a copy nor communication.
    assert_eq!(class(Kind::Kernel, "gemm", Some("kv"), kv), Class::Compute);
    assert_eq!(class(Kind::Kernel, "reshape_and_cache", Some("compute"), kv), Class::Compute);
    assert_eq!(class(Kind::Set, "memset", Some("kv"), kv), Class::Set);
}
