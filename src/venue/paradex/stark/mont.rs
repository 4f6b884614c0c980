//! Numbers modulo one of the curve's two primes, in Montgomery form (R = 2^256): `Fe` for coordinates, `Scalar` for
//! signatures. Both primes lie just above 2^251, so that sums never overflow 256 bits. Pure; always fully reduced.

use std::marker::PhantomData;

use starknet_crypto::Felt;

use super::inverse::inverse;

/// Little-endian 64-bit limbs.
pub type Limbs = [u64; 4];

/// A prime between 2^251 and 2^252 and what is derived from it.
pub trait Modulus {
    const P: Limbs;
    /// -1 / P modulo 2^64.
    const NEGATIVE_INVERSE: u64 = negative_inverse(Self::P[0]);
    /// R, R² and R³ modulo P.
    const R: Limbs = power_of_two(Self::P, 256);
    const R2: Limbs = power_of_two(Self::P, 512);
    const R3: Limbs = power_of_two(Self::P, 768);
}

/// 2^251 + 17·2^192 + 1, the field of the coordinates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field;

impl Modulus for Field {
    const P: Limbs = [1, 0, 0, 0x0800_0000_0000_0011];
}

/// The number of points of the curve, modulo which signatures are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Order;

impl Modulus for Order {
    const P: Limbs =
        [0x1e66_a241_adc6_4d2f, 0xb781_126d_cae7_b232, 0xffff_ffff_ffff_ffff, 0x0800_0000_0000_0010];
}

/// A number modulo `M`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mont<M>(Limbs, PhantomData<M>);

pub type Fe = Mont<Field>;
pub type Scalar = Mont<Order>;

impl<M: Modulus> Mont<M> {
    pub const ZERO: Self = Self([0; 4], PhantomData);
    pub const ONE: Self = Self(M::R, PhantomData);

    /// From a plain number; one that is not below the modulus is reduced.
    pub fn from_plain(plain: &Limbs) -> Self {
        Self(product::<M>(&M::R2, plain), PhantomData)
    }

    /// The plain number, below the modulus.
    pub fn plain(&self) -> Limbs {
        product::<M>(&self.0, &[1, 0, 0, 0])
    }

    /// As it is kept: the form that [`Self::from_words`] takes back.
    pub const fn words(&self) -> Limbs {
        self.0
    }

    /// Of words that [`Self::words`] gave.
    pub const fn from_words(words: Limbs) -> Self {
        Self(words, PhantomData)
    }

    pub fn is_zero(&self) -> bool {
        self.0 == [0; 4]
    }

    #[inline]
    pub fn plus(&self, other: &Self) -> Self {
        Self(reduced::<M>(add(&self.0, &other.0)), PhantomData)
    }

    #[inline]
    pub fn minus(&self, other: &Self) -> Self {
        let (difference, borrowed) = sub(&self.0, &other.0);
        let back = if borrowed { M::P } else { [0; 4] };
        Self(add(&difference, &back), PhantomData)
    }

    #[inline]
    pub fn times(&self, other: &Self) -> Self {
        Self(product::<M>(&self.0, &other.0), PhantomData)
    }

    #[inline]
    pub fn squared(&self) -> Self {
        self.times(self)
    }

    /// One over the number; zero for zero.
    pub fn inverse(&self) -> Self {
        // (xR)⁻¹ · R³ / R = x⁻¹R.
        Self(product::<M>(&M::R3, &inverse(&self.0, &M::P)), PhantomData)
    }
}

/// The reference crate keeps its felts in the same form, most significant limb first.
impl From<Felt> for Fe {
    fn from(felt: Felt) -> Self {
        let mut limbs = felt.to_raw();
        limbs.reverse();
        Self(limbs, PhantomData)
    }
}

impl From<Fe> for Felt {
    fn from(number: Fe) -> Self {
        let mut limbs = number.0;
        limbs.reverse();
        Self::from_raw(limbs)
    }
}

/// a · b / R modulo P, reduced. `a` must lie below P; `b` may be any 256-bit number, so that no carry leaves the five
/// limbs.
#[inline]
fn product<M: Modulus>(a: &Limbs, b: &Limbs) -> Limbs {
    let mut t = [0_u64; 5];
    for &digit in b {
        let mut carry = 0;
        for (limb, of_a) in t.iter_mut().zip(a) {
            (*limb, carry) = of_a.carrying_mul_add(digit, *limb, carry);
        }
        t[4] = carry;
        let factor = t[0].wrapping_mul(M::NEGATIVE_INVERSE);
        let (_, mut carry) = factor.carrying_mul_add(M::P[0], t[0], 0);
        for at in 1..4 {
            (t[at - 1], carry) = factor.carrying_mul_add(M::P[at], t[at], carry);
        }
        t[3] = t[4] + carry;
    }
    reduced::<M>([t[0], t[1], t[2], t[3]])
}

/// Less P if that is not negative. `number` must lie below 2P.
#[inline]
fn reduced<M: Modulus>(number: Limbs) -> Limbs {
    let (less, borrowed) = sub(&number, &M::P);
    if borrowed { number } else { less }
}

/// Wraps at 2^256.
#[inline]
const fn add(a: &Limbs, b: &Limbs) -> Limbs {
    let (low, carry) = add_carry(a[0], b[0], 0);
    let (second, carry) = add_carry(a[1], b[1], carry);
    let (third, carry) = add_carry(a[2], b[2], carry);
    let (high, _) = add_carry(a[3], b[3], carry);
    [low, second, third, high]
}

/// The difference modulo 2^256 and whether it was negative.
#[inline]
const fn sub(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (low, borrow) = sub_borrow(a[0], b[0], 0);
    let (second, borrow) = sub_borrow(a[1], b[1], borrow);
    let (third, borrow) = sub_borrow(a[2], b[2], borrow);
    let (high, borrow) = sub_borrow(a[3], b[3], borrow);
    ([low, second, third, high], borrow != 0)
}

#[inline(always)]
const fn add_carry(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let sum = a as u128 + b as u128 + carry as u128;
    (sum as u64, (sum >> 64) as u64)
}

#[inline(always)]
const fn sub_borrow(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let difference = (a as u128).wrapping_sub(b as u128).wrapping_sub(borrow as u128);
    (difference as u64, (difference >> 127) as u64)
}

/// Whether the plain number a lies below b.
pub const fn is_below(a: &Limbs, b: &Limbs) -> bool {
    sub(a, b).1
}

/// Newton's iteration: each step doubles the bits that are right, from the three of an odd number itself.
const fn negative_inverse(odd: u64) -> u64 {
    let (mut inverse, mut step) = (odd, 0);
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse.wrapping_neg()
}

const fn power_of_two(p: Limbs, exponent: u32) -> Limbs {
    let (mut power, mut nth) = ([1, 0, 0, 0], 0);
    while nth < exponent {
        let doubled = add(&power, &power);
        let (less, borrowed) = sub(&doubled, &p);
        power = if borrowed { doubled } else { less };
        nth += 1;
    }
    power
}
