//! Memory for large tables: huge pages, where the machine has them, save a page walk per look-up.

#![allow(unsafe_code)]

use rustix::mm::{Advice, madvise};

/// A huge page of this architecture, bytes.
const HUGE: usize = 2 << 20;

/// Asks for huge pages under the whole capacity of this vector; to be called before it is filled. A refusal is no
/// error: the table is then as right and a little slower.
pub fn advise_huge<T>(memory: &mut Vec<T>) {
    let start = memory.as_mut_ptr().cast::<u8>();
    let end = start.addr() + memory.capacity() * size_of::<T>();
    let first = start.addr().next_multiple_of(HUGE);
    let len = end.saturating_sub(first) / HUGE * HUGE;
    if len > 0 {
        let first = start.with_addr(first);
        // SAFETY: the range lies inside the vector's own allocation, and this advice changes no byte of it.
        let _refused = unsafe { madvise(first.cast(), len, Advice::LinuxHugepage) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advised_memory_holds_what_is_put_there() {
        for len in [0, 1, HUGE, 3 * HUGE + 1] {
            let mut memory = Vec::with_capacity(len);
            advise_huge(&mut memory);
            memory.resize(len, 7_u8);
            assert!(memory.iter().all(|&byte| byte == 7));
        }
    }
}
