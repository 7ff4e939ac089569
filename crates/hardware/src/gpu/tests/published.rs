//! Numbers as datasheets, whitepapers and drivers print them, written down apart from the spec files.

/// Slug, architecture, units, boost MHz, MHz of the matrix peaks (0: the same), memory in GiB, L2 in KiB, L1 in KiB, bus
/// bits, DRAM in GB/s, and by how many percent that may differ from bus x rate.
pub(super) type Device = (&'static str, &'static str, u32, f64, f64, &'static [u64], u64, u64, u32, f64, f64);

pub(super) const DEVICES: &[Device] = &[
    // The datasheets print 900 GB/s; 877 MHz make 898.
    ("v100-sxm2", "sm_70", 80, 1530.0, 0.0, &[16, 32], 6144, 128, 4096, 900.0, 0.3),
    ("v100-pcie", "sm_70", 80, 1380.0, 0.0, &[16, 32], 6144, 128, 4096, 900.0, 0.3),
    ("t4", "sm_75", 40, 1590.0, 0.0, &[16], 4096, 96, 256, 320.0, 0.1),
    ("a100-40gb", "sm_80", 108, 1410.0, 0.0, &[40], 40960, 192, 5120, 1555.0, 0.1),
    ("a100-80gb", "sm_80", 108, 1410.0, 0.0, &[80], 40960, 192, 5120, 2039.0, 0.1),
    ("a100-40gb-pcie", "sm_80", 108, 1410.0, 0.0, &[40], 40960, 192, 5120, 1555.0, 0.1),
    ("a100-80gb-pcie", "sm_80", 108, 1410.0, 0.0, &[80], 40960, 192, 5120, 1935.0, 0.1),
    ("rtx-3070", "sm_86", 46, 1725.0, 0.0, &[8], 4096, 128, 256, 448.0, 0.1),
    ("rtx-3080", "sm_86", 68, 1710.0, 0.0, &[10], 5120, 128, 320, 760.0, 0.1),
    ("rtx-3090", "sm_86", 82, 1695.0, 0.0, &[24], 6144, 128, 384, 936.2, 0.1),
    ("rtx-a6000", "sm_86", 84, 1800.0, 0.0, &[48], 6144, 128, 384, 768.0, 0.1),
    ("a10", "sm_86", 72, 1695.0, 0.0, &[24], 6144, 128, 384, 600.0, 0.1),
    ("l4", "sm_89", 58, 2040.0, 0.0, &[24], 49152, 128, 192, 300.0, 0.1),
    ("l40s", "sm_89", 142, 2520.0, 0.0, &[48], 98304, 128, 384, 864.0, 0.1),
    ("rtx-4090", "sm_89", 128, 2520.0, 0.0, &[24], 73728, 128, 384, 1008.0, 0.1),
    ("h100-sxm", "sm_90", 132, 1980.0, 1830.0, &[80], 51200, 256, 5120, 3350.0, 0.1),
    // 2 TB/s, more exactly 2039 GB/s: 1593 MHz.
    ("h100-pcie", "sm_90", 114, 1755.0, 1620.0, &[80], 51200, 256, 5120, 2039.0, 0.1),
    // 3.9 TB/s with two digits.
    ("h100-nvl", "sm_90", 132, 1785.0, 1545.3, &[94], 51200, 256, 6016, 3910.0, 0.1),
    ("gh200-96gb", "sm_90", 132, 1980.0, 1830.0, &[96], 61440, 256, 6144, 4022.784, 0.01),
    // 4.9 TB/s with two digits.
    ("gh200-144gb", "sm_90", 132, 1980.0, 1830.0, &[144], 61440, 256, 6144, 4917.0, 0.1),
    ("h200", "sm_90", 132, 1980.0, 1830.0, &[141], 51200, 256, 6144, 4800.0, 0.1),
    // 7.7 TB/s of the HGX datasheet; the driver: 7680 bits x 2 x 3996 MHz = 7672.3 GB/s.
    ("b200", "sm_100", 148, 1965.0, 1855.8, &[180], 129_536, 256, 7680, 7672.3, 0.11),
    // Nsight Compute: 1984 bytes a cycle x 4 GHz.
    ("gb200", "sm_100", 152, 2062.0, 2007.6, &[186], 132_352, 256, 7936, 7936.0, 0.1),
    ("b300", "sm_103", 148, 2032.0, 1855.8, &[270], 129_536, 256, 7680, 7700.0, 0.3),
    // 8 TB/s x 31/32.
    ("gb300", "sm_103", 152, 2062.0, 2007.6, &[279], 132_352, 256, 7936, 7936.0, 0.1),
    ("rtx-5070", "sm_120", 48, 2512.0, 0.0, &[12], 49152, 128, 192, 672.0, 0.1),
    ("rtx-5090", "sm_120", 170, 2407.0, 0.0, &[32], 98304, 128, 512, 1792.0, 0.1),
    ("gb10", "sm_121", 48, 2525.0, 0.0, &[128], 24576, 128, 256, 273.0, 0.1),
    ("mi100", "gfx908", 120, 1502.0, 0.0, &[32], 8192, 16, 4096, 1228.8, 0.1),
    ("mi210", "gfx90a", 104, 1700.0, 0.0, &[64], 8192, 16, 4096, 1638.4, 0.1),
    ("mi250x", "gfx90a", 110, 1700.0, 0.0, &[64], 8192, 16, 4096, 1638.4, 0.1),
    // 5.3 TB/s; rocprofiler-compute 5324.8.
    ("mi300x", "gfx942", 304, 2100.0, 0.0, &[192], 32768, 32, 8192, 5324.8, 0.1),
    // 6 TB/s; 6 Gb/s a pin.
    ("mi325x", "gfx942", 304, 2100.0, 0.0, &[256], 32768, 32, 8192, 6144.0, 0.1),
    // 8 TB/s; 8192 bits x 4 x 2000 MHz = 8192 GB/s.
    ("mi350x", "gfx950", 256, 2200.0, 0.0, &[288], 32768, 32, 8192, 8192.0, 0.1),
    ("mi355x", "gfx950", 256, 2400.0, 0.0, &[288], 32768, 32, 8192, 8192.0, 0.1),
];

/// Board power in watts, by devices: the most that the vendor prints.
pub(super) const POWERS: &[(&str, &str)] = &[
    ("t4", "W=70"),
    ("l4", "W=72"),
    ("gb10", "W=140"),
    ("a10", "W=150"),
    ("rtx-3070", "W=220"),
    ("v100-pcie a100-40gb-pcie rtx-5070", "W=250"),
    // Half of the 560 of the module.
    ("mi250x", "W=280"),
    ("v100-sxm2 a100-80gb-pcie rtx-a6000 mi100 mi210", "W=300"),
    ("rtx-3080", "W=320"),
    ("h100-pcie l40s rtx-3090", "W=350"),
    ("a100-40gb a100-80gb h100-nvl", "W=400"),
    ("rtx-4090", "W=450"),
    ("rtx-5090", "W=575"),
    ("h100-sxm h200", "W=700"),
    ("mi300x", "W=750"),
    ("gh200-96gb gh200-144gb b200 mi325x mi350x", "W=1000"),
    ("gb200", "W=1200"),
    ("gb300 mi355x", "W=1400"),
];

/// FLOP a cycle and unit, dense or dense/sparse, by devices.
pub(super) const RATES: &[(&str, &str)] = &[
    ("v100-sxm2 v100-pcie", "f64=64 f32=128 f16=256 matrix_f16=1024 matrix_f16_acc16=1024"),
    ("t4", "f64=4 f32=128 f16=256 matrix_f16=1024 matrix_f16_acc16=1024 matrix_i8=2048 matrix_i4=4096"),
    (
        "a100-40gb a100-80gb a100-40gb-pcie a100-80gb-pcie",
        "f64=64 f32=128 f16=512 bf16=256 matrix_f64=128 matrix_tf32=1024/2048 matrix_f16=2048/4096 \
         matrix_f16_acc16=2048/4096 matrix_bf16=2048/4096 matrix_i8=4096/8192 matrix_i4=8192/16384 matrix_i1=32768",
    ),
    // GeForce accumulates in f32 at half the rate of f16.
    (
        "rtx-3070 rtx-3080 rtx-3090",
        "f64=4 f32=256 f16=256 bf16=256 matrix_tf32=256/512 matrix_f16=512/1024 matrix_f16_acc16=1024/2048 \
         matrix_bf16=512/1024 matrix_i8=2048/4096 matrix_i4=4096/8192",
    ),
    (
        "rtx-a6000 a10",
        "f64=4 f32=256 f16=256 bf16=256 matrix_tf32=512/1024 matrix_f16=1024/2048 matrix_f16_acc16=1024/2048 \
         matrix_bf16=1024/2048 matrix_i8=2048/4096 matrix_i4=4096/8192",
    ),
    (
        "rtx-4090",
        "f64=4 f32=256 f16=256 bf16=256 matrix_tf32=256/512 matrix_f16=512/1024 matrix_f16_acc16=1024/2048 \
         matrix_bf16=512/1024 matrix_f8=1024/2048 matrix_f8_acc16=2048/4096 matrix_i8=2048/4096 matrix_i4=4096/8192",
    ),
    (
        "l4 l40s",
        "f64=4 f32=256 f16=256 bf16=256 matrix_tf32=512/1024 matrix_f16=1024/2048 matrix_f16_acc16=1024/2048 \
         matrix_bf16=1024/2048 matrix_f8=2048/4096 matrix_f8_acc16=2048/4096 matrix_i8=2048/4096 matrix_i4=4096/8192",
    ),
    (
        "h100-sxm h100-pcie h100-nvl gh200-96gb gh200-144gb h200",
        "f64=128 f32=256 f16=512 bf16=512 matrix_f64=256 matrix_tf32=2048/4096 matrix_f16=4096/8192 \
         matrix_f16_acc16=4096/8192 matrix_bf16=4096/8192 matrix_f8=8192/16384 matrix_f8_acc16=8192/16384 \
         matrix_i8=8192/16384",
    ),
    // As `peak_sustained` of Nsight Compute on a GB200: 64 dfma, 128 ffma, 64 packed hfma threads a cycle and SM.
    (
        "b200 gb200",
        "f64=128 f32=256 f16=256 bf16=256 matrix_f64=128 matrix_tf32=4096/8192 matrix_f16=8192/16384 \
         matrix_f16_acc16=8192/16384 matrix_bf16=8192/16384 matrix_f8=16384/32768 matrix_f8_acc16=16384/32768 \
         matrix_f6=16384/32768 matrix_f4=32768/65536 matrix_i8=16384/32768",
    ),
    // FP4 is half as fast again as on 10.0 where it is dense, and the same where it is sparse.
    (
        "b300 gb300",
        "f64=4 f32=256 f16=256 bf16=256 matrix_f64=4 matrix_tf32=4096/8192 matrix_f16=8192/16384 \
         matrix_f16_acc16=8192/16384 matrix_bf16=8192/16384 matrix_f8=16384/32768 matrix_f8_acc16=16384/32768 \
         matrix_f6=16384/32768 matrix_f4=49152/65536 matrix_i8=512/1024",
    ),
    (
        "rtx-5070 rtx-5090",
        "f64=4 f32=256 f16=256 bf16=256 matrix_tf32=256/512 matrix_f16=512/1024 matrix_f16_acc16=1024/2048 \
         matrix_bf16=512/1024 matrix_f8=1024/2048 matrix_f8_acc16=2048/4096 matrix_f6=1024/2048 matrix_f4=4096/8192 \
         matrix_i8=2048/4096",
    ),
    (
        "gb10",
        "f64=4 f32=256 f16=256 bf16=256 matrix_tf32=512/1024 matrix_f16=1024/2048 matrix_f16_acc16=1024/2048 \
         matrix_bf16=1024/2048 matrix_f8=2048/4096 matrix_f8_acc16=2048/4096 matrix_f6=2048/4096 matrix_f4=4096/8192 \
         matrix_i8=2048/4096",
    ),
    ("mi100", "f64=64 f32=128 f16=256 matrix_f32=256 matrix_f16=1024 matrix_bf16=512 matrix_i8=1024"),
    (
        "mi210 mi250x",
        "f64=128 f32=128 f16=256 matrix_f64=256 matrix_f32=256 matrix_f16=1024 matrix_bf16=1024 matrix_i8=1024",
    ),
    (
        "mi300x mi325x",
        "f64=128 f32=256 f16=256 matrix_f64=256 matrix_f32=256 matrix_tf32=1024/2048 matrix_f16=2048/4096 \
         matrix_bf16=2048/4096 matrix_f8=4096/8192 matrix_i8=4096/8192",
    ),
    (
        "mi350x mi355x",
        "f64=128 f32=256 f16=256 matrix_f64=128 matrix_f32=256 matrix_f16=4096/8192 matrix_bf16=4096/8192 \
         matrix_f8=8192/16384 matrix_f6=16384 matrix_f4=16384 matrix_i8=8192/16384",
    ),
];

/// TFLOP/s (TOP/s) as printed, sparse ones marked `*`. They may differ by 0.1 %, by half of the last digit printed, or by
/// the percentage after `~`, which stands for a datasheet that rounds more or mixes clocks (see the comment).
pub(super) const PEAKS: &[(&str, &str)] = &[
    ("v100-sxm2", "f64=7.8 f32=15.7 f16=31.3 matrix_f16=125"),
    // Printed 7, 14, 112, at 1.37 GHz; the specs assume the stated boost clock of 1.38.
    ("v100-pcie", "f64=7.0~1 f32=14.0~1 matrix_f16=112~1"),
    // Printed 65, 130 and 260: cut, not rounded.
    ("t4", "f32=8.1 matrix_f16=65 matrix_i8=130 matrix_i4=260~0.2"),
    (
        "a100-40gb",
        "f64=9.7 matrix_f64=19.5 f32=19.5 f16=78 bf16=39 matrix_tf32=156 matrix_tf32*=312 matrix_f16=312 \
         matrix_f16*=624 matrix_bf16=312 matrix_i8=624 matrix_i8*=1248 matrix_i4=1248 matrix_i4*=2496 matrix_i1=4992",
    ),
    ("a100-80gb", "f64=9.7 matrix_f64=19.5 f32=19.5 matrix_tf32=156 matrix_bf16=312 matrix_f16=312 matrix_i8=624"),
    ("a100-40gb-pcie", "f64=9.7 matrix_f64=19.5 f32=19.5 matrix_tf32=156 matrix_bf16=312 matrix_f16=312 matrix_i8=624"),
    ("a100-80gb-pcie", "f64=9.7 matrix_f64=19.5 f32=19.5 matrix_tf32=156 matrix_bf16=312 matrix_f16=312 matrix_i8=624"),
    (
        "rtx-3070",
        "f32=20.3 f16=20.3 bf16=20.3 matrix_tf32=20.3 matrix_f16_acc16=81.3 matrix_f16=40.6 matrix_bf16=40.6 \
         matrix_f16_acc16*=162.6 matrix_i8=162.6 matrix_i8*=325.2 matrix_i4=325.2",
    ),
    (
        "rtx-3080",
        "f32=29.8 matrix_tf32=29.8 matrix_f16_acc16=119 matrix_f16=59.5 matrix_bf16=59.5 matrix_f16_acc16*=238 \
         matrix_i8=238 matrix_i8*=476 matrix_i4=476 matrix_i4*=952",
    ),
    (
        "rtx-3090",
        "f32=35.6 matrix_tf32=35.6 matrix_f16_acc16=142 matrix_f16=71 matrix_bf16=71 matrix_f16_acc16*=285 \
         matrix_i8=285 matrix_i4=569",
    ),
    ("rtx-a6000", "f32=38.7 matrix_tf32=77.4 matrix_f16=154.8 matrix_f16*=309.7 matrix_i8=309.7 matrix_i8*=619.3"),
    (
        "a10",
        "f32=31.2 matrix_tf32=62.5 matrix_tf32*=125 matrix_bf16=125 matrix_bf16*=250 matrix_f16=125 matrix_i8=250 \
         matrix_i8*=500 matrix_i4=500 matrix_i4*=1000",
    ),
    // Printed sparse only: 120 for 121.2.
    ("l4", "f32=30.3 matrix_tf32*=120~1 matrix_f16*=242 matrix_bf16*=242 matrix_f8*=485 matrix_i8*=485"),
    // 362.05 is at 2.49 GHz, the other numbers at 2.52.
    (
        "l40s",
        "f32=91.6 matrix_tf32=183 matrix_tf32*=366 matrix_bf16=362.05~1.3 matrix_f16=362.05~1.3 matrix_bf16*=733 \
         matrix_f16*=733 matrix_f8=733 matrix_f8*=1466 matrix_i8=733 matrix_i8*=1466",
    ),
    (
        "rtx-4090",
        "f64=1.3 f32=82.6 f16=82.6 bf16=82.6 matrix_tf32=82.6 matrix_tf32*=165.2 matrix_f16=165.2 matrix_bf16=165.2 \
         matrix_f16_acc16=330.3 matrix_f16_acc16*=660.6 matrix_f8=330.3 matrix_f8_acc16=660.6 matrix_f8_acc16*=1321.2 \
         matrix_i8=660.6 matrix_i8*=1321.2 matrix_i4=1321.2 matrix_i4*=2642.4",
    ),
    (
        "h100-sxm",
        "f64=33.5 matrix_f64=66.9 f32=66.9 f16=133.8 bf16=133.8 matrix_tf32=494.7 matrix_tf32*=989.4 matrix_f16=989.4 \
         matrix_f16*=1978.9 matrix_bf16=989.4 matrix_bf16*=1978.9 matrix_f8=1978.9 matrix_f8*=3957.8 matrix_i8=1978.9 \
         matrix_i8*=3957.8",
    ),
    (
        "h100-pcie",
        "f64=25.6 matrix_f64=51.2 f32=51.2 f16=102.4 bf16=102.4 matrix_tf32=378 matrix_tf32*=756 matrix_f16=756 \
         matrix_f16*=1513 matrix_bf16=756 matrix_f8=1513 matrix_f8*=3026 matrix_i8=1513",
    ),
    ("h100-nvl", "f64=30 matrix_f64=60 f32=60 matrix_tf32*=835 matrix_bf16*=1671 matrix_f16*=1671 matrix_f8*=3341"),
    ("gh200-96gb", "f64=34~2 matrix_f64=67 f32=67 matrix_tf32=494~0.2 matrix_bf16=990 matrix_f8=1979 matrix_f8*=3958"),
    ("gh200-144gb", "f64=34~2 matrix_f64=67 f32=67 matrix_tf32=494~0.2 matrix_bf16=990 matrix_f8=1979 matrix_f8*=3958"),
    ("h200", "f64=34~2 matrix_f64=67 f32=67 matrix_tf32*=989 matrix_bf16*=1979 matrix_f16*=1979 matrix_f8*=3958"),
    // Printed to one or two digits: 37, 75 (the HGX table rounds 74.5 up), 1.1.
    (
        "b200",
        "f64=37 matrix_f64=37 f32=75~1 matrix_tf32=1125 matrix_bf16=2250 matrix_f16=2250 matrix_f8=4500 matrix_f6=4500 \
         matrix_f4=9000 matrix_f4*=18000 matrix_i8=4500 matrix_bf16*=4500 matrix_f8*=9000",
    ),
    (
        "gb200",
        "f64=40 matrix_f64=40 f32=80 matrix_tf32=1250 matrix_bf16=2500 matrix_f16=2500 matrix_f8=5000 matrix_f6=5000 \
         matrix_f4=10000 matrix_f4*=20000 matrix_i8=5000",
    ),
    // An eighth of the board: 10/8 and 600/8 at another clock; FP4 is printed 13, 13.1, 13.5 and 14.
    (
        "b300",
        "f64=1.25~4 matrix_f64=1.25~4 f32=75~3 matrix_tf32=1125 matrix_bf16=2250 matrix_f8=4500 matrix_f4=13500 \
         matrix_f4*=18000 matrix_i8*=300~7",
    ),
    ("gb300", "f32=80 matrix_tf32=1250 matrix_bf16=2500 matrix_f8=5000 matrix_f4=15000 matrix_f4*=20000"),
    (
        "rtx-5070",
        "f32=30.9 f16=30.9 bf16=30.9 matrix_tf32=30.9 matrix_f16_acc16=123.5 matrix_f16=61.7 matrix_bf16=61.7 \
         matrix_f8_acc16=246.9 matrix_f8=123.5 matrix_f4=493.9 matrix_f4*=987.8 matrix_i8=246.9",
    ),
    (
        "rtx-5090",
        "f64=1.64 f32=104.8 f16=104.8 bf16=104.8 matrix_tf32=104.8 matrix_tf32*=209.5 matrix_f16_acc16=419 \
         matrix_f16=209.5 matrix_bf16=209.5 matrix_f16*=419 matrix_f8_acc16=838 matrix_f8=419 matrix_f8*=838 \
         matrix_f4=1676 matrix_f4*=3352 matrix_i8=838 matrix_i8*=1676",
    ),
    // 31 and one sparse PFLOP/s, with one digit.
    ("gb10", "f32=31 matrix_f4*=1000~1"),
    ("mi100", "f64=11.5 f32=23.1 matrix_f32=46.1 matrix_f16=184.6 matrix_bf16=92.3 matrix_i8=184.6"),
    ("mi210", "f64=22.6 f32=22.6 matrix_f64=45.3 matrix_f32=45.3 matrix_f16=181 matrix_bf16=181 matrix_i8=181"),
    // Half of 47.9, 95.7 and 383.
    (
        "mi250x",
        "f64=23.95 f32=23.95 matrix_f64=47.85 matrix_f32=47.85 matrix_f16=191.5 matrix_bf16=191.5 matrix_i8=191.5",
    ),
    (
        "mi300x",
        "f64=81.7 f32=163.4 matrix_f64=163.4 matrix_f32=163.4 matrix_tf32=653.7 matrix_tf32*=1307.4 matrix_f16=1307.4 \
         matrix_f16*=2614.9 matrix_bf16=1307.4 matrix_bf16*=2614.9 matrix_f8=2614.9 matrix_f8*=5229.8 matrix_i8=2614.9 \
         matrix_i8*=5229.8",
    ),
    (
        "mi325x",
        "f64=81.7 f32=163.4 matrix_f64=163.4 matrix_tf32=653.7 matrix_bf16=1307.4 matrix_f8=2614.9 matrix_i8=2614.9",
    ),
    (
        "mi350x",
        "f64=72.1 f32=144.2 matrix_f64=72.1 matrix_f32=144.2 matrix_f16=2306.9 matrix_f8=4613.7 matrix_f4=9227.5",
    ),
    (
        "mi355x",
        "f64=78.6 f32=157.3 f16=157.3 matrix_f64=78.6 matrix_f32=157.3 matrix_f16=2516.6 matrix_bf16=2516.6 \
         matrix_f8=5033 matrix_f6=10066 matrix_f4=10066 matrix_i8=5033 matrix_f16*=5033 matrix_f8*=10066",
    ),
];

/// Links: lanes, and GB/s of both directions together as datasheets print them.
pub(super) const LINKS: &[(&str, &str)] = &[
    ("v100-sxm2", "nvlink=6:300 pcie=16:31.5"),
    ("v100-pcie t4", "pcie=16:31.5"),
    ("a100-40gb a100-80gb a100-40gb-pcie a100-80gb-pcie", "nvlink=12:600 pcie=16:63"),
    ("rtx-3070 rtx-3080 a10 l4 l40s rtx-4090", "pcie=16:63"),
    ("rtx-3090 rtx-a6000", "nvlink=4:112.5 pcie=16:63"),
    ("h100-sxm h200", "nvlink=18:900 pcie=16:126"),
    ("h100-pcie h100-nvl", "nvlink=12:600 pcie=16:126"),
    ("gh200-96gb gh200-144gb", "nvlink=18:900 c2c=1:900"),
    ("b200", "nvlink=18:1800 pcie=16:126"),
    ("b300", "nvlink=18:1800"),
    ("gb200 gb300", "nvlink=18:1800 c2c=1:900"),
    ("rtx-5070 rtx-5090", "pcie=16:126"),
    ("gb10", "c2c=1:600"),
    ("mi100", "xgmi=3:276 pcie=16:63"),
    ("mi210", "xgmi=3:300 pcie=16:63"),
    // Half of the 800 of the module.
    ("mi250x", "xgmi=4:400 pcie=16:63"),
    ("mi300x mi325x", "xgmi=7:896 pcie=16:126"),
    ("mi350x mi355x", "xgmi=7:1075.2 pcie=16:126"),
];

/// Caches: units (0: those of the device) and bytes a cycle of each, at the boost clock.
pub(super) const CACHES: &[(&str, &str)] = &[
    // 2048 and 5120 bytes a cycle from L2, as the A100 whitepaper compares them.
    ("v100-sxm2 v100-pcie", "L1=0x128 L2=32x64"),
    ("a100-40gb a100-80gb a100-40gb-pcie a100-80gb-pcie", "L1=0x128 L2=80x64"),
    ("t4", "L1=0x64"),
    ("rtx-3070 rtx-3080 rtx-3090 rtx-a6000 a10 l4 l40s rtx-4090", "L1=0x128"),
    // Nsight Compute on a GB200: 19,456 bytes a cycle = 152 x 128.
    ("h100-sxm h100-pcie h100-nvl gh200-96gb gh200-144gb h200 b200 gb200 b300 gb300", "L1=0x128"),
    ("rtx-5070 rtx-5090 gb10", "L1=0x128"),
    ("mi100 mi210 mi250x", "L2=32x128 L1=0x64 LDS=0x128"),
    // 2 KiB a cycle from the L2 of each of the eight dies; 17.2 TB/s from the Infinity Cache.
    ("mi300x mi325x", "MALL=128x64 L2=128x128 L1=0x64 LDS=0x128"),
    ("mi350x mi355x", "L2=128x128"),
];

/// Further sizes in KiB: LDS of a compute unit, Infinity Cache.
pub(super) const SIZES: &[(&str, &str)] = &[
    ("mi100 mi210 mi250x", "LDS=64"),
    ("mi300x mi325x", "LDS=64 MALL=262144"),
    ("mi350x mi355x", "LDS=160 MALL=262144"),
];
