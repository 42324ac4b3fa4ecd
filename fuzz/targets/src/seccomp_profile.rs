//! A seccomp profile: whatever compiles is a filter that the kernel takes, and it answers every system call.

use seccomp::interpret::{Data, run as interpret};
use seccomp::{Arch, ByteOrder, Profile, compile, compile_for, from_bytes};

pub(crate) fn run(bytes: &[u8]) {
    let Ok(profile) = serde_json::from_slice::<Profile>(bytes) else { return };
    let _ = compile_for(&profile, Arch::Aarch64);
    let Ok(compiled) = compile(&profile) else { return };
    assert_eq!(
        from_bytes(&compiled.to_bytes()).as_ref(),
        Ok(&compiled.instructions),
        "bytes lose the filter"
    );
    for nr in [0, 1, 59, 231, 435, 1000, 0x4000_0000, u32::MAX] {
        for arch in [0xc000_003e, 0x4000_0003, 0] {
            for argument in [0, 1, u64::MAX] {
                let data = Data { nr, arch, instruction_pointer: 0, args: [argument; 6] };
                let answer = interpret(&compiled.instructions, &data, ByteOrder::Little);
                assert!(answer.is_ok(), "no answer to {data:?}: {answer:?}");
            }
        }
    }
}
