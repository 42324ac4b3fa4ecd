//! `memcpy`, `memmove`, `memset`, `memcmp` and `bcmp` for short pieces, in place of musl's.
//!
//! musl copies by `rep movsq` and compares byte by byte. The one takes some twenty nanoseconds to begin, which is dear
//! for a name of ten letters, and nine in ten copies of a `sluice run` are of fewer than 64 bytes; the other is slow for
//! the look-up of four hundred names. These functions move up to 64 bytes by loads and stores that overlap, without a
//! loop, and go 64 bytes at a time beyond.
//!
//! In assembler, because a compiler that finds such a loop in Rust makes a call of `memcpy` of it. SSE2 is part of every
//! x86-64.
//!
//! **Invariant:** nothing outside of the pieces given is read or written; up to 64 bytes, and in `memmove` always,
//! everything is loaded that a store could overwrite before that store is made.
//!
//! Source: the C standard, string.h; System V ABI for x86-64 (arguments in rdi, rsi, rdx; everything used here is the
//! callee's to change).

use core::arch::global_asm;

/// From this size on in bytes the processor's own `rep` is the fastest.
const LONG: usize = 2048;

// Copies of up to 64 bytes, which both copying functions begin with: returns after such a copy, else falls through.
macro_rules! copy_short {
    () => {
        r"
    mov rax, rdi
    cmp rdx, 16
    jae 20f
    cmp edx, 8
    jae 10f
    cmp edx, 4
    jae 11f
    test edx, edx
    je 12f
    movzx ecx, byte ptr [rsi]
    movzx r8d, byte ptr [rsi + rdx - 1]
    mov r9, rdx
    shr r9
    movzx r10d, byte ptr [rsi + r9]
    mov byte ptr [rdi], cl
    mov byte ptr [rdi + r9], r10b
    mov byte ptr [rdi + rdx - 1], r8b
12: ret
11: mov ecx, dword ptr [rsi]
    mov r8d, dword ptr [rsi + rdx - 4]
    mov dword ptr [rdi], ecx
    mov dword ptr [rdi + rdx - 4], r8d
    ret
10: mov rcx, qword ptr [rsi]
    mov r8, qword ptr [rsi + rdx - 8]
    mov qword ptr [rdi], rcx
    mov qword ptr [rdi + rdx - 8], r8
    ret
20: movups xmm0, xmmword ptr [rsi]
    movups xmm1, xmmword ptr [rsi + rdx - 16]
    cmp rdx, 32
    ja 21f
    movups xmmword ptr [rdi], xmm0
    movups xmmword ptr [rdi + rdx - 16], xmm1
    ret
21: movups xmm2, xmmword ptr [rsi + 16]
    movups xmm3, xmmword ptr [rsi + rdx - 32]
    cmp rdx, 64
    ja 22f
    movups xmmword ptr [rdi], xmm0
    movups xmmword ptr [rdi + 16], xmm2
    movups xmmword ptr [rdi + rdx - 32], xmm3
    movups xmmword ptr [rdi + rdx - 16], xmm1
    ret
22:
"
    };
}

// From here on: xmm0 and xmm2 hold the first 32 bytes, xmm3 and xmm1 the last 32.
global_asm!(
    ".pushsection .text.sluice_memory, \"ax\", @progbits",
    ".p2align 4",
    ".globl sluice_memcpy",
    ".type sluice_memcpy, @function",
    "sluice_memcpy:",
    copy_short!(),
    r"
    cmp rdx, {long}
    jae 40f
30: movups xmm4, xmmword ptr [rsi + rdx - 64]
    movups xmm5, xmmword ptr [rsi + rdx - 48]
    lea r8, [rdi + rdx - 64]
31: movups xmm0, xmmword ptr [rsi]
    movups xmm2, xmmword ptr [rsi + 16]
    movups xmm6, xmmword ptr [rsi + 32]
    movups xmm7, xmmword ptr [rsi + 48]
    movups xmmword ptr [rdi], xmm0
    movups xmmword ptr [rdi + 16], xmm2
    movups xmmword ptr [rdi + 32], xmm6
    movups xmmword ptr [rdi + 48], xmm7
    add rsi, 64
    add rdi, 64
    cmp rdi, r8
    jb 31b
    movups xmmword ptr [r8], xmm4
    movups xmmword ptr [r8 + 16], xmm5
    movups xmmword ptr [r8 + 32], xmm3
    movups xmmword ptr [r8 + 48], xmm1
    ret
40: lea r8, [rdi + rdx - 8]
    mov r9, qword ptr [rsi + rdx - 8]
    mov rcx, rdx
    shr rcx, 3
    rep movsq
    mov qword ptr [r8], r9
    ret
.size sluice_memcpy, . - sluice_memcpy

.p2align 4
.globl sluice_memmove
.type sluice_memmove, @function
sluice_memmove:
",
    copy_short!(),
    r"
    mov rcx, rdi
    sub rcx, rsi
    cmp rcx, rdx
    jae 30b
    // The target begins within the source: from the end to the beginning.
    movups xmm4, xmmword ptr [rsi + 32]
    movups xmm5, xmmword ptr [rsi + 48]
    lea rsi, [rsi + rdx - 64]
    lea rdi, [rdi + rdx - 64]
51: movups xmm1, xmmword ptr [rsi]
    movups xmm3, xmmword ptr [rsi + 16]
    movups xmm6, xmmword ptr [rsi + 32]
    movups xmm7, xmmword ptr [rsi + 48]
    movups xmmword ptr [rdi], xmm1
    movups xmmword ptr [rdi + 16], xmm3
    movups xmmword ptr [rdi + 32], xmm6
    movups xmmword ptr [rdi + 48], xmm7
    sub rsi, 64
    sub rdi, 64
    cmp rdi, rax
    ja 51b
    movups xmmword ptr [rax], xmm0
    movups xmmword ptr [rax + 16], xmm2
    movups xmmword ptr [rax + 32], xmm4
    movups xmmword ptr [rax + 48], xmm5
    ret
.size sluice_memmove, . - sluice_memmove

.p2align 4
.globl sluice_memset
.type sluice_memset, @function
sluice_memset:
    mov rax, rdi
    movzx ecx, sil
    movabs r8, 0x0101010101010101
    imul rcx, r8
    cmp rdx, 16
    jae 20f
    cmp edx, 8
    jae 10f
    cmp edx, 4
    jae 11f
    test edx, edx
    je 12f
    mov r9, rdx
    shr r9
    mov byte ptr [rdi], cl
    mov byte ptr [rdi + r9], cl
    mov byte ptr [rdi + rdx - 1], cl
12: ret
11: mov dword ptr [rdi], ecx
    mov dword ptr [rdi + rdx - 4], ecx
    ret
10: mov qword ptr [rdi], rcx
    mov qword ptr [rdi + rdx - 8], rcx
    ret
20: cmp rdx, {long}
    jae 40f
    movq xmm0, rcx
    punpcklqdq xmm0, xmm0
    lea r8, [rdi + rdx - 16]
21: movups xmmword ptr [rdi], xmm0
    add rdi, 16
    cmp rdi, r8
    jb 21b
    movups xmmword ptr [r8], xmm0
    ret
40: mov r9, rax
    mov rax, rcx
    mov qword ptr [rdi + rdx - 8], rcx
    mov rcx, rdx
    shr rcx, 3
    rep stosq
    mov rax, r9
    ret
.size sluice_memset, . - sluice_memset

.p2align 4
.globl sluice_memcmp
.type sluice_memcmp, @function
sluice_memcmp:
    cmp rdx, 8
    jb 20f
    lea rcx, [rdx - 8]
    xor r8d, r8d
    jmp 11f
10: mov rax, qword ptr [rdi + r8]
    mov r9, qword ptr [rsi + r8]
    cmp rax, r9
    jne 30f
    add r8, 8
11: cmp r8, rcx
    jb 10b
    mov rax, qword ptr [rdi + rcx]
    mov r9, qword ptr [rsi + rcx]
    cmp rax, r9
    jne 30f
12: xor eax, eax
    ret
20: cmp edx, 4
    jb 21f
    mov eax, dword ptr [rdi]
    mov r9d, dword ptr [rsi]
    mov r8d, dword ptr [rdi + rdx - 4]
    mov ecx, dword ptr [rsi + rdx - 4]
    // The first four bytes count first: they stand at the low end, which the swap turns to the high one.
    shl r8, 32
    shl rcx, 32
    or rax, r8
    or r9, rcx
    cmp rax, r9
    je 12b
30: bswap rax
    bswap r9
    cmp rax, r9
    sbb eax, eax
    or eax, 1
    ret
21: test edx, edx
    je 12b
    mov rcx, rdx
    shr rcx
    movzx eax, byte ptr [rdi]
    movzx r9d, byte ptr [rsi]
    sub eax, r9d
    jne 22f
    movzx eax, byte ptr [rdi + rcx]
    movzx r9d, byte ptr [rsi + rcx]
    sub eax, r9d
    jne 22f
    movzx eax, byte ptr [rdi + rdx - 1]
    movzx r9d, byte ptr [rsi + rdx - 1]
    sub eax, r9d
22: ret
.size sluice_memcmp, . - sluice_memcmp
.popsection
",
    long = const LONG,
);

// The names by which the compiler and the C library call them. glibc has functions of its own that are as good.
#[cfg(all(target_env = "musl", not(test)))]
global_asm!(
    r"
.globl memcpy
.globl memmove
.globl memset
.globl memcmp
.globl bcmp
.set memcpy, sluice_memcpy
.set memmove, sluice_memmove
.set memset, sluice_memset
.set memcmp, sluice_memcmp
.set bcmp, sluice_memcmp
"
);

#[cfg(test)]
mod tests {
    use core::cmp::Ordering;
    use core::ffi::c_int;

    unsafe extern "C" {
        fn sluice_memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8;
        fn sluice_memmove(to: *mut u8, from: *const u8, size: usize) -> *mut u8;
        fn sluice_memset(to: *mut u8, byte: c_int, size: usize) -> *mut u8;
        fn sluice_memcmp(one: *const u8, other: *const u8, size: usize) -> c_int;
    }

    const ROOM: usize = 9000;

    /// Every size of the first ways of copying, and some around where the next ones begin.
    fn sizes() -> impl Iterator<Item = usize> {
        (0..=200).chain(super::LONG - 3..super::LONG + 12).chain([1000, 1024, 4095, 4096, 4097, 8000])
    }

    /// Bytes of which no two neighbours of a run of 251 are equal.
    fn pattern() -> [u8; ROOM] {
        core::array::from_fn(|index| u8::try_from(index % 251).unwrap())
    }

    #[test]
    fn a_copy_has_all_bytes_and_no_more() {
        let from = pattern();
        for size in sizes() {
            let (mut to, at) = ([0xee_u8; ROOM], 7);
            let target = to.as_mut_ptr().wrapping_add(at);
            // SAFETY: both pieces are within their arrays.
            let answer = unsafe { sluice_memcpy(target, from.as_ptr().wrapping_add(3), size) };
            assert_eq!(answer, target);
            assert!(to[..at].iter().chain(&to[at + size..]).all(|byte| *byte == 0xee), "{size}");
            assert!(to[at..at + size] == from[3..3 + size], "{size}");
        }
    }

    #[test]
    fn a_move_within_one_piece_keeps_its_bytes() {
        for size in sizes() {
            for (from, to) in
                [(500, 500), (500, 501), (501, 500), (500, 517), (517, 500), (500, 570), (570, 500), (0, 900)]
            {
                let (mut bytes, before) = (pattern(), pattern());
                let source = bytes.as_ptr().wrapping_add(from);
                let target = bytes.as_mut_ptr().wrapping_add(to);
                // SAFETY: both pieces are within the array, and a move may overlap.
                assert_eq!(unsafe { sluice_memmove(target, source, size) }, target);
                assert!(bytes[to..to + size] == before[from..from + size], "{size} {from} {to}");
                assert!(bytes[..to] == before[..to] && bytes[to + size..] == before[to + size..], "{size}");
            }
        }
    }

    #[test]
    fn a_piece_is_set_and_nothing_beside_it() {
        for size in sizes() {
            let (mut bytes, at) = ([0xee_u8; ROOM], 5);
            let target = bytes.as_mut_ptr().wrapping_add(at);
            // SAFETY: the piece is within the array. Only the low byte of the value counts.
            assert_eq!(unsafe { sluice_memset(target, 0x1_7f, size) }, target);
            assert!(bytes[at..at + size].iter().all(|byte| *byte == 0x7f), "{size}");
            assert!(bytes[..at].iter().chain(&bytes[at + size..]).all(|byte| *byte == 0xee), "{size}");
        }
    }

    #[test]
    fn the_first_byte_that_differs_decides() {
        let compare = |one: &[u8], other: &[u8]| {
            // SAFETY: both pieces are as long as the first.
            unsafe { sluice_memcmp(one.as_ptr(), other.as_ptr(), one.len()) }.cmp(&0)
        };
        for size in 0..130 {
            let one = &pattern()[3..3 + size];
            assert_eq!(compare(one, one), Ordering::Equal, "{size}");
            for at in 0..size {
                let mut other = pattern();
                let other = &mut other[3..3 + size];
                // What follows points the other way, as an unsigned byte must be looked at.
                other[at] = 0xff;
                other[at + 1..].fill(0);
                assert_eq!(compare(one, other), Ordering::Less, "{size} {at}");
                assert_eq!(compare(other, one), Ordering::Greater, "{size} {at}");
            }
        }
    }
}
