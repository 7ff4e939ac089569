use super::*;

/// Names and values of the forms that real ones have; none of them was ever valid.
static GO: &[(&str, &str)] = &[
    ("HF_TOKEN", "x"),
    ("GITHUB_TOKEN", "abc"),
    ("GITHUBTOKEN", "abc"),
    ("OPENAI_API_KEY", "abc"),
    ("apiKey", "abc"),
    ("WANDB_API_KEY", "abc"),
    ("DB_PASSWORD", "123456"),
    ("MYSQL_PWD", "abc"),
    ("SUDO_PASSWD", "abc"),
    ("CLIENT_SECRET", "abc"),
    ("AZURE_CLIENT_SECRETS", "abc"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "/home/u/key.json"),
    ("DOCKER_AUTH_CONFIG", "{}"),
    ("npm_config__auth", "abc"),
    ("SSH_AUTH_SOCK", "/tmp/agent.1"),
    ("SSH_CONNECTION", "10.0.0.1 22 10.0.0.2 22"),
    ("HTTP_COOKIE", "a=b"),
    ("SESSION_ID", "7"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("GITLAB_PAT", "abc"),
    ("DATABASE_URL", "sqlite:///data.db"),
    ("STAGING_DATABASE_URL", "postgres://host/db"),
    ("SENTRY_DSN", "https://host/1"),
    ("AZURE_CONNECTION_STRING", "x"),
    ("PROXY", "http://user:hunter2@proxy.example:3128"),
    ("CACHE", "redis://:p@ss/w@cache.example:6379/0"),
    ("MIRROR", "https://0123456789abcdef0123@packages.example/simple"),
    ("CALLBACK", "https://files.example/x?sig=abc"),
    ("STORE", "AccountName=n;AccountKey=abc"),
    ("HEADER", "Authorization: Bearer abcdefghijklmnop"),
    ("A1", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln"),
    ("A2", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
    ("A3", "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"),
    ("A4", "sk-proj-abcdefghij0123456789abcdefghij"),
    ("A5", "nvapi-abcdefghij0123456789abcd"),
    ("A6", "-----BEGIN RSA PRIVATE KEY-----"),
    ("A7", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    ("A8", "q7Zt3Lx9Pb2Vm5Kd8Rw1Ny"),
    ("A9", "9f86d081884c7d659a2feaa0c55ad015"),
    ("LOGIN", "alice:hunter2@cache.example:6379"),
    ("OMPI_ARGV", "capture -- serve --api-key abc"),
    ("OMPI_FILE_LOCATION", "/tmp/ompi.node-a.0/pid.1/0/0"),
    ("OMPI_MCA_orte_hnp_uri", "199360512.0;tcp://192.0.2.2:41297"),
    ("PMIX_HOSTNAME", "node-a"),
    ("PMIX_SERVER_URI41", "199360512.0;tcp4://127.0.0.1:34361"),
    ("PMI_PORT", "node-a:40000"),
];

static STAY: &[(&str, &str)] = &[
    ("PATH", "/usr/local/cuda/bin:/usr/bin:/nix/store/0c2yj8Wq1Lm4Xp7Rz3Vb6Nk9Td5Hf-tool/bin"),
    ("LD_LIBRARY_PATH", "/usr/local/cuda/lib64"),
    ("PYTHONPATH", "."),
    ("PWD", "/work"),
    ("OLDPWD", "/"),
    ("HOME", "/home/u"),
    ("LANG", "en_US.UTF-8"),
    ("TERM", "xterm-256color"),
    ("SHELL", "/bin/bash"),
    ("KEYBOARD_LAYOUT", "us"),
    ("KEYMAP", "pc104"),
    ("MONKEY", "see"),
    ("GIT_AUTHOR_NAME", "somebody"),
    ("TOKENIZERS_PARALLELISM", "false"),
    ("MAX_TOKENS", "4096"),
    ("VLLM_MAX_NUM_BATCHED_TOKENS", "8192"),
    ("CUDA_VISIBLE_DEVICES", "GPU-3f1c2a9e-7b64-4c0d-9a51-0e8d2b6f4c17"),
    ("CUDA_HOME", "/usr/local/cuda-13.0"),
    ("NVIDIA_REQUIRE_CUDA", "cuda>=12.4 brand=tesla,driver>=470,driver<471"),
    ("NCCL_SOCKET_IFNAME", "eth0"),
    ("NCCL_DEBUG", "INFO"),
    ("NCCL_IB_HCA", "mlx5_0,mlx5_1"),
    ("OMP_NUM_THREADS", "8"),
    ("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True,max_split_size_mb:512"),
    ("XLA_FLAGS", "--xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=4"),
    ("MODEL", "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"),
    ("MODEL_2", "meta-llama/Meta-Llama-3.1-70B-Instruct"),
    ("GIT_COMMIT", "d2fba89e7c1a4b5f60718293a4b5c6d7e8f90a1b"),
    ("IMAGE_DIGEST", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    ("RANK", "3"),
    ("OMPI_COMM_WORLD_RANK", "3"),
    ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
    ("PMIX_NAMESPACE", "199360513"),
    ("PMI_RANK", "3"),
    ("BASE_IMAGE", "pytorch:25.06@sha256:9f86d081884c7d65"),
    ("WORLD_SIZE", "8"),
    ("MASTER_PORT", "29500"),
    ("SLURM_JOB_ID", "123456"),
    ("TORCHELASTIC_RUN_ID", "0b7c1f8a-1c7e-4df0-8f3c-2c3a7f1e9d55"),
    ("HF_HOME", "/data/huggingface"),
    ("HTTP_PROXY", "http://proxy.example:3128"),
    ("REMOTE", "ssh://git@code.example/repo"),
    ("PS1", "\\u@\\h:\\w\\$ "),
    ("LS_COLORS", "rs=0:di=01;34:ln=01;36:mh=00:pi=40;33"),
    ("DOCKER_IMAGE", "nvcr.io/nvidia/pytorch:25.06-py3"),
    ("SCHEDULER", "sk-learn-like-name-of-words-2"),
    ("EMPTY_TOKEN", ""),
    ("LONG_NAME", "TheQuickBrownFoxJumpsOverTheLazyDog2"),
];

#[test]
fn secrets_go_by_their_name_or_by_their_value() {
    assert!(GO.len() >= 30);
    let left: Vec<_> = GO.iter().filter(|(name, value)| !is_secret(name, value)).collect();
    assert!(left.is_empty(), "kept: {left:?}");
}

#[test]
fn what_tells_how_a_run_was_set_up_stays() {
    assert!(STAY.len() >= 30);
    let gone: Vec<_> = STAY.iter().filter(|(name, value)| is_secret(name, value)).collect();
    assert!(gone.is_empty(), "removed: {gone:?}");
}

#[test]
fn what_was_removed_is_told_by_name_only() {
    let all = GO.iter().chain(STAY).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let kept = keep(all);
    assert_eq!((kept.removed.len(), kept.variables.len()), (GO.len(), STAY.len()));
    let text = format!("{kept:?}");
    assert!(!text.contains("hunter2") && text.contains("PROXY"), "{text}");
}

#[test]
fn a_value_with_the_name_of_the_machine_goes() {
    let named = |host| {
        let mut kept = keep(
            [("TMP", "/tmp/ompi.node-a.0/x"), ("OTHER", "node-abc")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        remove_naming(&mut kept, host);
        kept.removed.join(",")
    };
    assert_eq!(named("node-a.example"), "TMP");
    assert_eq!((named("vm"), named("")), (String::new(), String::new()));
}

#[test]
fn a_value_that_fills_pages_is_cut_at_a_letter() {
    let kept = keep([("A".to_owned(), "\u{e9}".repeat(4000))]);
    assert_eq!(kept.variables["A"].len(), LONGEST);
    let odd = keep([("A".to_owned(), format!("x{}", "\u{e9}".repeat(4000)))]);
    assert_eq!(odd.variables["A"].len(), LONGEST - 1);
}

#[test]
fn a_command_line_loses_the_values_of_secrets_and_nothing_else() {
    let kept = |line: &str| command_line(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).join(" ");
    assert_eq!(kept("serve --api-key abc --port 8000"), "serve --api-key <removed> --port 8000");
    assert_eq!(kept("serve --token=abc -v"), "serve --token=<removed> -v");
    assert_eq!(kept("env HF_TOKEN=abc python a.py"), "env HF_TOKEN=<removed> python a.py");
    assert_eq!(kept("get http://u:p@h/x"), "get <removed>");
    assert_eq!(kept("serve --max-tokens 64 --model a/b"), "serve --max-tokens 64 --model a/b");
    assert_eq!(kept("nsys --session-new=a --session b"), "nsys --session-new=a --session b");
    assert_eq!(kept("python -c print(1) --no-auth --x=1"), "python -c print(1) --no-auth --x=1");
}
