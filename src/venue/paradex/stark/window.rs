//! Multiples of fixed points, made once: a scalar is cut into windows of [`BITS`] bits, and each window's multiple is
//! looked up. Called by `pedersen` and `ecdsa`.

use super::mont::Limbs;
use super::point::{Affine, Sum};
use crate::sys::pages::advise_huge;

/// Bits per look-up. Twelve make 5.5 MiB per point; unoptimized builds take four, which are made at once.
pub const BITS: usize = if cfg!(debug_assertions) { 4 } else { 12 };
/// Scalars and coordinates are shorter than this.
const SCALAR_BITS: usize = 252;
const WINDOWS: usize = SCALAR_BITS / BITS;
const WIDTH: usize = 1 << BITS;

/// Every multiple of one scalar's windows.
pub struct Windows {
    /// Row by row; the first of each row, which stands for nothing, is never read.
    points: Box<[Affine]>,
}

impl Windows {
    /// `starts` are the bits that stand for a point of their own; any other stands for twice the one before it.
    pub fn new(starts: &[(usize, Affine)]) -> Self {
        let bits = doublings(starts);
        let mut points = Vec::with_capacity(WINDOWS * WIDTH);
        advise_huge(&mut points);
        for row in bits.chunks_exact(BITS) {
            points.extend(multiples(row));
        }
        Self { points: points.into_boxed_slice() }
    }

    /// Adds to `sum` what the scalar stands for. It must be shorter than 252 bits or the rest is not seen.
    pub fn add(&self, mut sum: Sum, scalar: &Limbs) -> Sum {
        for (row, digit) in digits(scalar).into_iter().enumerate() {
            if digit != 0 {
                sum = sum.plus(&self.points[row * WIDTH + digit]);
            }
        }
        sum
    }
}

/// The point that each bit stands for: from each start on, twice the one before.
fn doublings(starts: &[(usize, Affine)]) -> Vec<Affine> {
    let mut bits = Vec::with_capacity(SCALAR_BITS);
    for bit in 0..SCALAR_BITS {
        let start = starts.iter().find(|start| start.0 == bit);
        let point = start.map_or_else(
            || {
                let last: Affine = bits[bit - 1];
                Sum::settle(&[Sum::from(last).plus(&last)])[0]
            },
            |start| start.1,
        );
        bits.push(point);
    }
    bits
}

/// All sums of these points, in the order of the binary numbers that choose them; the empty one is the first point.
fn multiples(row: &[Affine]) -> Vec<Affine> {
    let mut sums = vec![Sum::from(row[0])];
    for bit in row {
        let with_bit = sums.iter().enumerate().map(|(nth, sum)| match nth {
            0 => Sum::from(*bit),
            _ => sum.plus(bit),
        });
        let with_bit: Vec<Sum> = with_bit.collect();
        sums.extend(with_bit);
    }
    Sum::settle(&sums)
}

/// The windows of a scalar, lowest first.
fn digits(scalar: &Limbs) -> [usize; WINDOWS] {
    let mut digits = [0; WINDOWS];
    for (row, digit) in digits.iter_mut().enumerate() {
        let (limb, shift) = (row * BITS / 64, row * BITS % 64);
        let next = scalar.get(limb + 1).copied().unwrap_or_default();
        let both = u128::from(next) << 64 | u128::from(scalar[limb]);
        *digit = (both >> shift) as usize & (WIDTH - 1);
    }
    digits
}
