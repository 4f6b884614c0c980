//! Inverse modulo a prime by divsteps (Bernstein and Yang, 2019), 62 at a time: the lowest 62 bits decide what is done
//! with the whole numbers, so that these are touched ten times and not 700. Pure; used by `mont` only.

use super::mont::Limbs;

/// Bits decided at a time.
const STEP: u32 = 62;
const MASK: i64 = (1 << STEP) - 1;

/// A signed number in five limbs of 62 bits, of which the highest carries the sign.
type Signed = [i64; 5];

/// What 62 divsteps make of (f, g): 2^62 times the new pair is (u·f + v·g, q·f + r·g).
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// A number congruent to 1 / x modulo p, not reduced but below 2^256; zero for zero. p must be odd and below 2^252.
pub fn inverse(x: &Limbs, p: &Limbs) -> Limbs {
    let modulus = split(p);
    let (mut f, mut g) = (modulus, split(x));
    // f = d·x and g = e·x modulo p at all times. Each round adds at most p to |d| and |e|.
    let (mut d, mut e) = ([0; 5], [1, 0, 0, 0, 0]);
    let low_inverse = inverse_of_low_bits(modulus[0]);
    let mut eta = -1;
    while g != [0; 5] {
        let matrix = divsteps(&mut eta, f[0], g[0]);
        (d, e) = apply_modulo(&matrix, &d, &e, &modulus, low_inverse);
        (f, g) = apply(&matrix, &f, &g);
    }
    // f is now 1 or -1 (p for x = 0, where d is still zero).
    let sign = if f[4] < 0 { -1 } else { 1 };
    join(&d, sign, &modulus)
}

/// 62 divsteps on the low bits of f (odd) and g. `eta` is minus the delta of the paper.
fn divsteps(eta: &mut i64, f: i64, g: i64) -> Matrix {
    let (mut f, mut g) = (f, g);
    let mut matrix = Matrix { u: 1, v: 0, q: 0, r: 1 };
    let mut left = STEP;
    loop {
        // Even g: halve it, which instead doubles what stands for f.
        let zeros = g.trailing_zeros().min(left);
        g >>= zeros;
        matrix.u <<= zeros;
        matrix.v <<= zeros;
        *eta -= i64::from(zeros);
        left -= zeros;
        if left == 0 {
            return matrix;
        }
        if *eta < 0 {
            *eta = -*eta;
            (f, g) = (g, f.wrapping_neg());
            (matrix.u, matrix.q) = (matrix.q, -matrix.u);
            (matrix.v, matrix.r) = (matrix.r, -matrix.v);
        }
        // As many steps at once as need no exchange: add the multiple of f that clears so many bits of g.
        let bits = (*eta + 1).min(i64::from(left)).min(5);
        let times = g.wrapping_mul(negative_inverse_of_5_bits(f)) & ((1 << bits) - 1);
        g = g.wrapping_add(f.wrapping_mul(times));
        matrix.q += matrix.u * times;
        matrix.r += matrix.v * times;
    }
}

/// -1 / odd modulo 32.
fn negative_inverse_of_5_bits(odd: i64) -> i64 {
    (odd.wrapping_mul(3) ^ 2).wrapping_neg()
}

/// 1 / odd modulo 2^62.
fn inverse_of_low_bits(odd: i64) -> i64 {
    let mut inverse = odd.wrapping_mul(3) ^ 2;
    for _ in 0..4 {
        inverse = inverse.wrapping_mul(2_i64.wrapping_sub(odd.wrapping_mul(inverse)));
    }
    inverse & MASK
}

/// (u·f + v·g, q·f + r·g) / 2^62, which divides exactly.
fn apply(m: &Matrix, f: &Signed, g: &Signed) -> (Signed, Signed) {
    (combined(m.u, f, m.v, g, 0, f), combined(m.q, f, m.r, g, 0, f))
}

/// The same modulo p: first a multiple of p is added that makes the low 62 bits vanish.
fn apply_modulo(m: &Matrix, d: &Signed, e: &Signed, p: &Signed, low_inverse: i64) -> (Signed, Signed) {
    let times = |a: i64, b: i64| {
        let low = a.wrapping_mul(d[0]).wrapping_add(b.wrapping_mul(e[0]));
        low.wrapping_mul(low_inverse).wrapping_neg() & MASK
    };
    (combined(m.u, d, m.v, e, times(m.u, m.v), p), combined(m.q, d, m.r, e, times(m.q, m.r), p))
}

/// (a·x + b·y + c·z) / 2^62.
#[inline]
fn combined(a: i64, x: &Signed, b: i64, y: &Signed, c: i64, z: &Signed) -> Signed {
    let mut out = [0; 5];
    let mut carry = 0_i128;
    for at in 0..5 {
        let term = |of: i64, limb: i64| i128::from(of) * i128::from(limb);
        carry += term(a, x[at]) + term(b, y[at]) + term(c, z[at]);
        if at > 0 {
            out[at - 1] = carry as i64 & MASK;
        }
        carry >>= STEP;
    }
    out[4] = carry as i64;
    out
}

fn split(n: &Limbs) -> Signed {
    let limb = |bits: u64| bits.cast_signed() & MASK;
    [
        limb(n[0]),
        limb(n[0] >> 62 | n[1] << 2),
        limb(n[1] >> 60 | n[2] << 4),
        limb(n[2] >> 58 | n[3] << 6),
        limb(n[3] >> 56),
    ]
}

/// sign · d + 15p, which is not negative: |d| stays below 15p, since 252 bits take at most twelve rounds.
fn join(d: &Signed, sign: i64, p: &Signed) -> Limbs {
    let mut limbs = [0_u64; 5];
    let mut carry = 0_i64;
    for at in 0..5 {
        let sum = i128::from(carry) + i128::from(sign) * i128::from(d[at]) + 15 * i128::from(p[at]);
        limbs[at] = (sum as i64 & MASK).cast_unsigned();
        carry = (sum >> STEP) as i64;
    }
    [
        limbs[0] | limbs[1] << 62,
        limbs[1] >> 2 | limbs[2] << 60,
        limbs[2] >> 4 | limbs[3] << 58,
        limbs[3] >> 6 | limbs[4] << 56,
    ]
}
