//! `ceiling_*.cu` and `clock.cu`: kernels whose result nobody needs, but whose work must be what they say.

use super::host::{Argument, Buffer, Kernels, buffer, word};
use super::numbers::{from_bf16, from_half, noise, rounded};

const SIZES: [[(&str, u64); 2]; 2] = [[("blocks", 1), ("iterations", 3)], [("blocks", 3), ("iterations", 1)]];

/// Runs a kernel of registers: with a result that can't be it stores nothing and counts what the header states; with
/// the result `expected` of some thread it stores that.
fn check(kernels: &Kernels, entry: &str, numbers: &[u64], never: u64, expected: impl Fn(u64) -> u64) {
    let untouched = Buffer::new(&[7; 8]);
    let width = if entry.ends_with("f64") { 8 } else { 4 };
    for values in &SIZES {
        let iterations = values[1].1;
        let arguments = |never: u64| -> Vec<Argument> {
            let words = numbers.iter().copied().chain([never, iterations]);
            std::iter::once(buffer(0)).chain(words.map(word)).collect()
        };
        let after = kernels.check(entry, values, &arguments(never), std::slice::from_ref(&untouched));
        assert!(after[0] == untouched, "{entry} stores what can't be");
        let expected = expected(iterations);
        let mut buffers = [untouched.clone()];
        kernels.run(entry, values, &arguments(expected), &mut buffers);
        assert_eq!(buffers[0].bytes()[..width], expected.to_ne_bytes()[..width], "{entry}: another result");
    }
}

fn single(value: f32) -> u64 {
    u64::from(value.to_bits())
}

#[test]
fn fma_chains_do_the_arithmetic_that_they_count() {
    let Some(kernels) = Kernels::build("ceiling_fma.cu") else { return };
    // Thread 5 with x = 1 x + 1: chain c ends at 5 + c + steps.
    let sum = |iterations: u64| (16 * 5 + 120 + 16 * 32 * iterations) as f64;
    let one = single(1.0);
    check(&kernels, "ceiling_fma_f32", &[one, one], single(-1.0), |iterations| single(sum(iterations) as f32));
    let one = 1.0_f64.to_bits();
    check(&kernels, "ceiling_fma_f64", &[one, one], (-1.0_f64).to_bits(), |iterations| sum(iterations).to_bits());
}

#[test]
fn packed_fma_chains_do_the_arithmetic_that_they_count() {
    let Some(kernels) = Kernels::build("ceiling_fma.cu") else { return };
    let never = 0xffff_ffff;
    // 0.5 and 1 in both halves.
    let half = |iterations| pairs(iterations, 0x3c00_3c00, 11, from_half, |x| half_bits(x, 10, 15));
    check(&kernels, "ceiling_fma_half2", &[0x3800_3800, 0x3c00_3c00], never, half);
    let bfloat =
        |iterations| pairs(iterations, 0x3f80_3f80, 8, |bits| f64::from(from_bf16(bits)), |x| half_bits(x, 7, 127));
    check(&kernels, "ceiling_fma_bfloat162", &[0x3f00_3f00, 0x3f80_3f80], never, bfloat);
}

/// The conjunction of thread 3's chains after x = 0.5 x + 1, rounded to `bits` at each step.
fn pairs(iterations: u64, addend: u32, bits: i32, from: impl Fn(u16) -> f64, to: impl Fn(f64) -> u16) -> u64 {
    let chain = |chain: u32| {
        let start = addend ^ (3 << 20 | chain);
        let half = |start: u16| {
            let mut x = from(start);
            for _ in 0..32 * iterations {
                x = rounded(0.5 * x + 1.0, bits);
            }
            u32::from(to(x))
        };
        half(start as u16) | half((start >> 16) as u16) << 16
    };
    u64::from((0..16).map(chain).fold(u32::MAX, |all, pair| all & pair))
}

/// The bits of a positive normal number with a fraction of `fraction` bits.
fn half_bits(x: f64, fraction: u32, bias: i32) -> u16 {
    let exponent = x.log2().floor() as i32;
    let significand = x / 2.0_f64.powi(exponent) - 1.0;
    ((exponent + bias) << fraction) as u16 | (significand * f64::from(1 << fraction)) as u16
}

#[test]
fn products_on_tensor_cores_count_their_shape_and_give_the_matrix_product() {
    let Some(kernels) = Kernels::build("ceiling_mma.cu") else { return };
    let (one, half) = (1.0_f64.to_bits(), 0.5_f64.to_bits());
    let start = 28.0;
    // Four products of a step, each adds k a b to every element of 8 accumulators with 2 elements a thread.
    let f64_sum = |iterations: u64| (2.0 * start + 16.0 * 4.0 * 4.0 * 0.5 * iterations as f64).to_bits();
    check(&kernels, "ceiling_mma_f64", &[one, half], (-1.0_f64).to_bits(), f64_sum);
    // The varied low bits lie below a tf32's precision.
    let tf32_sum = |iterations: u64| single((4.0 * start + 32.0 * 4.0 * 8.0 * 0.5 * iterations as f64) as f32);
    check(&kernels, "ceiling_mma_tf32", &[single(1.0), single(0.5)], single(-1.0), tf32_sum);
    // Fragments whose products and sums an f32 holds exactly.
    let never = single(-1.0);
    let sum = |iterations: u64, dots: f64| single((4.0 * start + 8.0 * 4.0 * iterations as f64 * dots) as f32);
    let (a, b) = (0x0000_0008, 0x0000_7800);
    check(&kernels, "ceiling_mma_f16", &[u64::from(a), u64::from(b)], never, |n| sum(n, dots(a, b, from_half)));
    let (a, b) = (0x3f80_3f80, 0x3f80_3f80);
    let from = |bits| f64::from(from_bf16(bits));
    check(&kernels, "ceiling_mma_bf16", &[u64::from(a), u64::from(b)], never, |n| sum(n, dots(a, b, from)));
}

/// The four elements of A B that thread 0 holds (rows 0 and 8, columns 0 and 1; m16n8k16), summed. Fragments as the
/// kernel fills them, in the layout of the PTX ISA ("Matrix Fragments for mma.m16n8k16 with floating point type").
fn dots(a: u32, b: u32, number: impl Fn(u16) -> f64) -> f64 {
    let element = |word: u32, k: u32| number((word >> (16 * (k % 2))) as u16);
    let left = |row: u32, k: u32| element(a ^ ((row % 8 * 4 + k % 8 / 2 + row / 8 + k / 8 * 2) & 7), k);
    let right = |k: u32, column: u32| element(b ^ ((column * 4 + k % 8 / 2 + k / 8) & 7), k);
    let dot = |row: u32, column: u32| (0..16).map(|k| left(row, k) * right(k, column)).sum::<f64>();
    dot(0, 0) + dot(0, 1) + dot(8, 0) + dot(8, 1)
}

/// Words of 32 bits that a hash fills.
fn words(count: u64) -> Vec<u32> {
    (0..count).map(|index| noise(3, index).to_bits()).collect()
}

fn memory(words: &[u32]) -> Buffer {
    Buffer::new(&words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>())
}

#[test]
fn memory_kernels_read_write_and_copy_all_that_they_count() {
    let Some(kernels) = Kernels::build("ceiling_memory.cu") else { return };
    for (blocks, vectors, repeats) in [(2_u64, 5000_u64, 1_u64), (1, 700, 3)] {
        let values = [("blocks", blocks), ("vectors", vectors), ("repeats", repeats)];
        let input = memory(&words(4 * vectors));
        let output = memory(&vec![0; 4 * vectors as usize]);
        let copy = [buffer(0), buffer(1), word(vectors), word(repeats)];
        let after = kernels.check("ceiling_copy", &values, &copy, &[output.clone(), input.clone()]);
        assert!(after[0] == input && after[1] == input);

        let write = [buffer(0), word(vectors), word(repeats)];
        let after = kernels.check("ceiling_write", &values, &write, std::slice::from_ref(&output));
        let thread = |vector: u64| (vector % (512 * blocks)) as u32;
        let last = repeats as u32 - 1;
        let expected: Vec<u32> = (0..vectors).flat_map(|v| [thread(v), last, thread(v), last]).collect();
        assert!(after[0] == memory(&expected));
        read(&kernels, &values, &input);
    }
}

fn read(kernels: &Kernels, values: &[(&str, u64); 3], input: &Buffer) {
    let [(_, blocks), (_, vectors), (_, repeats)] = *values;
    let arguments = |never: u32| [buffer(0), buffer(1), word(vectors), word(repeats), word(never)];
    // What thread 5 combines.
    let words = words(4 * vectors);
    let own = |word: &usize| (word / 4) as u64 % (512 * blocks) == 5;
    let once = (0..words.len()).filter(own).fold(0, |all, word| all ^ words[word]);
    let expected = (0..repeats as u32).fold(0_u32, |all, repeat| (all ^ once).wrapping_add(repeat));
    let buffers = [Buffer::new(&[0; 4]), input.clone()];
    let after = kernels.check("ceiling_read", values, &arguments(0x1234_5678), &buffers);
    assert!(after[0] == buffers[0], "stores what can't be");
    let mut buffers = buffers;
    kernels.run("ceiling_read", values, &arguments(expected), &mut buffers);
    assert!(buffers[0] == memory(&[expected]), "another result");
}

#[test]
fn the_clock_kernel_stores_two_numbers_a_block_and_counts_its_arithmetic() {
    let Some(kernels) = Kernels::build("clock.cu") else { return };
    for values in SIZES {
        let arguments = [buffer(0), word(single(1.0)), word(values[1].1)];
        let blocks = values[0].1 as usize;
        let mut buffers = [Buffer::new(&vec![0xff; 16 * blocks])];
        kernels.check_counts("clock_rate", &values, &arguments, &mut buffers);
        for pair in buffers[0].bytes().chunks(8) {
            let number = u64::from_ne_bytes(pair.try_into().expect("8 bytes"));
            assert!(number > 0 && number < 1_000_000_000_000, "{number}");
        }
    }
}
