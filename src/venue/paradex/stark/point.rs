//! Points of the curve y² = x³ + x + β. A sum under construction keeps its denominators (x = X/ZZ, y = Y/ZZZ), so that
//! an addition needs no inverse. Pure.

use super::mont::{Fe, Mont};

/// A point with its coordinates; never the one at infinity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Affine {
    pub x: Fe,
    pub y: Fe,
}

/// A sum of points. `zz` is zero for the point at infinity.
#[derive(Clone, Copy)]
pub struct Sum {
    x: Fe,
    y: Fe,
    zz: Fe,
    zzz: Fe,
}

impl Affine {
    /// Twice the point, which has no order of two.
    fn doubled(&self) -> Sum {
        let (u, x_squared) = (self.y.plus(&self.y), self.x.squared());
        let v = u.squared();
        let w = u.times(&v);
        let s = self.x.times(&v);
        // The curve's a is 1.
        let m = x_squared.plus(&x_squared).plus(&x_squared).plus(&Mont::ONE);
        let x = m.squared().minus(&s).minus(&s);
        let y = m.times(&s.minus(&x)).minus(&w.times(&self.y));
        Sum { x, y, zz: v, zzz: w }
    }
}

impl From<Affine> for Sum {
    fn from(point: Affine) -> Self {
        Self { x: point.x, y: point.y, zz: Mont::ONE, zzz: Mont::ONE }
    }
}

impl Sum {
    pub const INFINITY: Self = Self { x: Mont::ZERO, y: Mont::ZERO, zz: Mont::ZERO, zzz: Mont::ZERO };

    /// The sum with one more point.
    #[inline]
    pub fn plus(&self, point: &Affine) -> Self {
        if self.zz.is_zero() {
            return Self::from(*point);
        }
        let p = point.x.times(&self.zz).minus(&self.x);
        let r = point.y.times(&self.zzz).minus(&self.y);
        if p.is_zero() {
            return if r.is_zero() { point.doubled() } else { Self::INFINITY };
        }
        let pp = p.squared();
        let ppp = p.times(&pp);
        let q = self.x.times(&pp);
        let x = r.squared().minus(&ppp).minus(&q).minus(&q);
        let y = r.times(&q.minus(&x)).minus(&self.y.times(&ppp));
        Self { x, y, zz: self.zz.times(&pp), zzz: self.zzz.times(&ppp) }
    }

    /// As it is kept, four words a number: the form that [`Self::from_words`] takes back.
    pub fn words(&self) -> [u64; 16] {
        let mut words = [0; 16];
        for (place, number) in words.chunks_exact_mut(4).zip([self.x, self.y, self.zz, self.zzz]) {
            place.copy_from_slice(&number.words());
        }
        words
    }

    /// Of words that [`Self::words`] gave.
    pub fn from_words(words: &[u64; 16]) -> Self {
        let number = |nth: usize| Fe::from_words(std::array::from_fn(|limb| words[4 * nth + limb]));
        Self { x: number(0), y: number(1), zz: number(2), zzz: number(3) }
    }

    /// Its x coordinate; zero for infinity.
    pub fn x(&self) -> Fe {
        self.x.times(&self.zz.inverse())
    }

    /// The points of many sums, with one inverse for all. None of them may be infinity.
    pub fn settle(sums: &[Self]) -> Vec<Affine> {
        let mut products = Vec::with_capacity(sums.len());
        let mut all = Fe::ONE;
        for sum in sums {
            products.push(all);
            all = all.times(&sum.zzz);
        }
        let mut inverse = all.inverse();
        let mut points = Vec::with_capacity(sums.len());
        for (sum, before) in sums.iter().zip(&products).rev() {
            let over_zzz = inverse.times(before);
            inverse = inverse.times(&sum.zzz);
            let over_z = over_zzz.times(&sum.zz);
            points.push(Affine { x: sum.x.times(&over_z.squared()), y: sum.y.times(&over_zzz) });
        }
        points.reverse();
        points
    }
}
