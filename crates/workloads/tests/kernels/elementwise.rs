//! `bias_gelu.cu`, `convert.cu` and `gather_columns.cu`.

use super::host::{Buffer, Field, Kernels, buffer, word};
use super::numbers::{Storage, assert_near, from_bf16, to_bf16};

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
}

#[test]
fn bias_gelu_gives_the_formula_and_counts_what_its_header_states() {
    let Some(kernels) = Kernels::build("bias_gelu.cu") else { return };
    for storage in Storage::BOTH {
        let entry = format!("bias_gelu_{}", storage.name());
        for (rows, width) in [(5_usize, 1032_usize), (17, 64)] {
            let values = storage.random(rows * width, 1).iter().map(|value| value * 8.0).collect::<Vec<_>>();
            let bias = storage.random(width, 2);
            let expected: Vec<f64> =
                (0..rows * width).map(|i| gelu(f64::from(values[i]) + f64::from(bias[i % width]))).collect();
            let buffers = [storage.buffer(&values), storage.buffer(&bias)];
            let arguments = [buffer(0), buffer(1), word(rows as u64), word(width as u64)];
            let sizes = [("rows", rows as u64), ("width", width as u64)];
            let after = kernels.check(&entry, &sizes, &arguments, &buffers);
            assert_near(&entry, &storage.values(&after[0]), &expected, storage.rounding(), 3e-6);
        }
        let extreme = [-1e30, -100.0, -0.0, 0.0, 1e-30, 100.0, 1e30, f32::INFINITY];
        let mut buffers = [storage.buffer(&extreme), storage.buffer(&[0.0; 8])];
        let arguments = [buffer(0), buffer(1), word(1_u64), word(8_u64)];
        kernels.run(&entry, &[("rows", 1), ("width", 8)], &arguments, &mut buffers);
        let after = storage.values(&buffers[0]);
        assert!(after.iter().take(7).all(|value| value.is_finite()), "{after:?}");
        assert_eq!((after[0], after[3], after[7]), (0.0, 0.0, f32::INFINITY));
    }
}

#[test]
fn bias_gelu_rounds_ties_to_even() {
    let Some(kernels) = Kernels::build("bias_gelu.cu") else { return };
    let storage = Storage::Bf16;
    // From 256 on a bf16 is even, and GELU leaves such a number as it is.
    let mut buffers = [storage.buffer(&[256.0; 8]), storage.buffer(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])];
    let arguments = [buffer(0), buffer(1), word(1_u64), word(8_u64)];
    kernels.run("bias_gelu_bf16", &[("rows", 1), ("width", 8)], &arguments, &mut buffers);
    assert_eq!(storage.values(&buffers[0]), [256.0, 256.0, 258.0, 260.0, 260.0, 260.0, 262.0, 264.0]);
}

/// All kinds of numbers, and ties between two bf16.
fn awkward() -> Vec<f32> {
    let bits = [
        0x0000_0000,
        0x8000_0000,
        0x3f80_8000,
        0x3f81_8000,
        0x3f80_8001,
        0x3f80_7fff,
        0x7f7f_ffff,
        0xff7f_ffff,
        0x7f7f_7fff,
        0x7f80_0000,
        0xff80_0000,
        0x7f80_0001,
        0xffff_ffff,
        0x0000_0001,
        0x0000_8000,
        0x0001_8000,
        0x007f_ffff,
        0x8000_8001,
    ];
    bits.map(f32::from_bits).to_vec()
}

#[test]
fn conversions_round_to_nearest_even_and_count_what_their_headers_state() {
    let Some(kernels) = Kernels::build("convert.cu") else { return };
    for count in [21_usize, 4103] {
        let mut values = awkward();
        values.extend(Storage::F32.random(count, 7));
        values.truncate(count);
        let buffers = [Storage::Bf16.buffer(&vec![0.0; count]), Storage::F32.buffer(&values)];
        let (sizes, arguments) = ([("count", count as u64)], [buffer(0), buffer(1), word(count as u64)]);
        let after = kernels.check("convert_f32_to_bf16", &sizes, &arguments, &buffers);
        let narrow: Vec<u16> = after[0].bytes().chunks(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect();
        assert_eq!(narrow, values.iter().map(|value| to_bf16(*value)).collect::<Vec<_>>());

        let buffers = [Storage::F32.buffer(&vec![0.0; count]), after[0].clone()];
        let after = kernels.check("convert_bf16_to_f32", &sizes, &arguments, &buffers);
        let wide: Vec<u32> = Storage::F32.values(&after[0]).iter().map(|value| value.to_bits()).collect();
        assert_eq!(wide, narrow.iter().map(|bits| from_bf16(*bits).to_bits()).collect::<Vec<_>>());
    }
}

#[test]
fn every_bf16_survives_the_way_to_f32_and_back() {
    let Some(kernels) = Kernels::build("convert.cu") else { return };
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_ne_bytes).collect();
    let mut buffers = [Buffer::new(&vec![0; 1 << 17]), Buffer::new(&vec![0; 1 << 18]), Buffer::new(&all)];
    let count = word(1_u64 << 16);
    kernels.run_in_shape("convert_bf16_to_f32", 3, 256, &[buffer(1), buffer(2), count.clone()], &mut buffers);
    kernels.run_in_shape("convert_f32_to_bf16", 3, 256, &[buffer(0), buffer(1), count], &mut buffers);
    for (bits, back) in (0..=u16::MAX).zip(buffers[0].bytes().chunks(2)) {
        let expected = if from_bf16(bits).is_nan() { 0x7fff } else { bits };
        assert_eq!(u16::from_ne_bytes([back[0], back[1]]), expected);
    }
}

#[test]
fn gathered_columns_lie_side_by_side_and_count_what_the_header_states() {
    let Some(kernels) = Kernels::build("gather_columns.cu") else { return };
    for storage in Storage::BOTH {
        let entry = format!("gather_columns_{}", storage.name());
        let sixteen: Vec<usize> = (1..=16).map(|piece| 8 * piece).collect();
        for (rows, widths) in [(5, vec![8, 1024, 64]), (3, sixteen), (4, vec![40])] {
            let width: usize = widths.iter().sum();
            let pieces: Vec<Vec<f32>> =
                widths.iter().enumerate().map(|(piece, width)| storage.random(rows * width, piece as u64)).collect();
            let mut buffers = vec![storage.buffer(&vec![0.0; rows * width])];
            buffers.extend(pieces.iter().map(|piece| storage.buffer(piece)));
            let arguments = [buffer(0), argument(&widths), word(rows as u64), word(width as u64)];
            let sizes = [("rows", rows as u64), ("width", width as u64)];
            let after = kernels.check(&entry, &sizes, &arguments, &buffers);
            let expected: Vec<f32> = (0..rows)
                .flat_map(|row| {
                    pieces.iter().zip(&widths).flat_map(move |(piece, width)| piece[row * width..][..*width].to_vec())
                })
                .collect();
            assert_eq!(storage.values(&after[0]), expected, "{entry} {widths:?}");
        }
    }
}

/// 16 pointers and 17 ends of 32 bits, two a word.
fn argument(widths: &[usize]) -> Vec<Field> {
    let mut fields: Vec<Field> =
        (0..16).map(|piece| if piece < widths.len() { Field::Buffer(1 + piece, 0) } else { Field::Word(0) }).collect();
    let ends: Vec<u64> = (0..18).map(|piece| widths.iter().take(piece).sum::<usize>() as u64).collect();
    fields.extend(ends.chunks(2).map(|pair| Field::Word(pair[0] | pair[1] << 32)));
    fields
}
