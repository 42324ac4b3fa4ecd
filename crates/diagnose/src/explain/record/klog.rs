//! `E0413 10:53:52.844381    3263 kubelet.go:2055] message`: klog and glog.

use std::borrow::Cow;

use super::{Inside, Level, Speaker};

pub(super) fn open(text: &str) -> Option<Inside<'_>> {
    let level = match text.chars().next()? {
        'I' => Level::Notice,
        'W' => Level::Warning,
        'E' | 'F' => Level::Error,
        _ => return None,
    };
    let mut words = text.get(1..)?.split_ascii_whitespace();
    let (date, time) = (words.next()?, words.next()?);
    let is_date = date.len() == 4 && date.bytes().all(|byte| byte.is_ascii_digit());
    if !is_date || time.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    let (head, message) = text.split_once("] ").or_else(|| text.split_once(']'))?;
    if !head.contains(".go:") {
        return None;
    }
    let speaker = if is_kubelets(head) { Speaker::Road } else { Speaker::Unknown };
    Some(Inside { speaker, level, time: Some(format!("{date} {time}")), text: Cow::Borrowed(message) })
}

/// Source files that only the kubelet and its clients have.
fn is_kubelets(head: &str) -> bool {
    const FILES: &[&str] = &[
        " prober",
        " kubelet",
        " remote_",
        " kuberuntime",
        " pod_workers",
        " cpu_manager",
        " generic.go",
        " pleg",
        " docker_",
        " container_",
        " log.go",
        " exec.go",
        " scope.go",
        " watcher.go",
        " raw.go",
        " cleanupnode",
    ];
    FILES.iter().any(|file| head.contains(file))
}
