//! What is written for a set of limits: pure, in the order in which it is to be written.
//!
//! One file per resource in `plan/`. The only judgement left to the one who writes is which of two file names
//! this kernel has, and which of two linked values has to go first.

mod block_io;
mod cpu;
pub(crate) mod devices;
mod hugetlb;
mod memory;
mod network;
mod pids;
mod rdma;
mod unified;

use crate::{Error, Kind, Resources, Result};

/// What it means that the file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The limit was asked for and cannot be kept: an error.
    Required,
    /// Nothing is lost without it.
    Optional,
}

/// How a write depends on its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It does not.
    Free,
    /// The kernel checks it against linked writes beside it. When it is refused with `EINVAL`
    /// they go first.
    Linked,
}

/// One value for one control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Controller that has the file.
    pub controller: String,
    /// Name of the file in the group.
    pub file: String,
    /// What is written, in one `write(2)`.
    pub value: String,
    /// Another file and value, for kernels without `file`.
    pub fallback: Option<(String, String)>,
    /// Place in the resources that asks for it, such as `memory/limit`.
    pub field: String,
    /// What it means that neither file is there.
    pub presence: Presence,
    /// How it depends on its neighbours.
    pub order: Order,
}

impl Write {
    pub(crate) fn new(controller: &str, file: &str, value: impl ToString, field: &str) -> Self {
        Self {
            controller: controller.to_owned(),
            file: file.to_owned(),
            value: value.to_string(),
            fallback: None,
            field: field.to_owned(),
            presence: Presence::Required,
            order: Order::Free,
        }
    }

    fn linked(self) -> Self {
        Self { order: Order::Linked, ..self }
    }

    fn optional(self) -> Self {
        Self { presence: Presence::Optional, ..self }
    }

    fn or(self, file: &str, value: impl ToString) -> Self {
        Self { fallback: Some((file.to_owned(), value.to_string())), ..self }
    }
}

/// The writes for these resources, in order. What is not set gives no write.
///
/// The device rules of v2 are not files: see [`crate::device_program`].
///
/// # Errors
/// A value that no kernel would take, values that contradict each other, or a resource that this kind lacks.
pub fn plan(kind: Kind, resources: &Resources) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    devices::plan(kind, &resources.devices, &mut writes)?;
    if let Some(memory) = &resources.memory {
        memory::plan(kind, memory, &mut writes)?;
    }
    if let Some(cpu) = &resources.cpu {
        cpu::plan(kind, cpu, &mut writes)?;
    }
    if let Some(pids) = &resources.pids {
        pids::plan(pids, &mut writes);
    }
    if let Some(block_io) = &resources.block_io {
        block_io::plan(kind, block_io, &mut writes)?;
    }
    hugetlb::plan(kind, &resources.hugepage_limits, &mut writes)?;
    if let Some(network) = &resources.network {
        network::plan(kind, network, &mut writes)?;
    }
    rdma::plan(&resources.rdma, &mut writes)?;
    unified::plan(kind, &resources.unified, &mut writes)?;
    Ok(writes)
}

/// What is set but has no effect on this kind or any longer, as places in the resources with the reason.
#[must_use]
pub fn ignored(kind: Kind, resources: &Resources) -> Vec<(&'static str, &'static str)> {
    resources.memory.as_ref().map(|memory| memory::ignored(kind, memory)).unwrap_or_default()
}

fn invalid(field: &str, expected: impl Into<String>) -> Error {
    Error::Invalid { field: field.to_owned(), expected: expected.into() }
}

/// The error for a resource that v2 does not have.
fn only_v1(controller: &str, field: &str) -> Error {
    Error::NoController {
        field: field.to_owned(),
        controller: controller.to_owned(),
        hint: Some("it exists in cgroup v1 only".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The planned writes as `file=value`, or the error as text.
    pub(crate) fn lines(kind: Kind, json: &str) -> Vec<String> {
        let resources: Resources = serde_json::from_str(json).unwrap();
        match plan(kind, &resources) {
            Ok(writes) => writes.iter().map(|write| format!("{}={}", write.file, write.value)).collect(),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn nothing_set_writes_nothing() {
        let empty = r#"{"memory": {}, "cpu": {"shares": 0, "quota": 0, "cpus": ""}, "pids": {"limit": 0},
                        "blockIO": {"weight": 0}, "network": {"classID": 0}}"#;
        for kind in [Kind::V1, Kind::V2] {
            assert_eq!(lines(kind, empty), Vec::<String>::new());
        }
    }

    /// Resources in JSON, then what is written on v1 and on v2.
    const TABLE: &[(&str, &[&str], &[&str])] = &[
        (r#"{"pids": {"limit": 100}}"#, &["pids.max=100"], &["pids.max=100"]),
        (r#"{"pids": {"limit": -1}}"#, &["pids.max=max"], &["pids.max=max"]),
        (
            r#"{"memory": {"limit": 1000, "reservation": 500, "swap": 3000}}"#,
            &[
                "memory.limit_in_bytes=1000",
                "memory.memsw.limit_in_bytes=3000",
                "memory.soft_limit_in_bytes=500",
            ],
            &["memory.swap.max=2000", "memory.max=1000", "memory.low=500"],
        ),
        (
            r#"{"memory": {"limit": 1000, "swap": 1000}}"#,
            &["memory.limit_in_bytes=1000", "memory.memsw.limit_in_bytes=1000"],
            &["memory.swap.max=0", "memory.max=1000"],
        ),
        (
            r#"{"memory": {"limit": -1}}"#,
            &["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"],
            &["memory.swap.max=max", "memory.max=max"],
        ),
        (
            r#"{"memory": {"limit": 1000, "swap": -1}}"#,
            &["memory.limit_in_bytes=1000", "memory.memsw.limit_in_bytes=-1"],
            &["memory.swap.max=max", "memory.max=1000"],
        ),
        (
            r#"{"memory": {"limit": -1, "swap": 5}}"#,
            &[
                "linux/resources/memory/swap: 5 is below memory/limit -1 (no limit), but it counts memory and swap together",
            ],
            &["memory.swap.max=5", "memory.max=max"],
        ),
        (
            r#"{"memory": {"limit": 7, "swap": 5}}"#,
            &[
                "linux/resources/memory/swap: 5 is below memory/limit 7, but it counts memory and swap together",
            ],
            &[
                "linux/resources/memory/swap: 5 is below memory/limit 7, but it counts memory and swap together",
            ],
        ),
        (
            r#"{"memory": {"swap": 5}}"#,
            &["memory.memsw.limit_in_bytes=5"],
            &[
                "linux/resources/memory/swap: needs memory/limit beside it, since it counts memory and swap together",
            ],
        ),
        (
            r#"{"memory": {"kernel": 1, "kernelTCP": 2, "swappiness": 10, "disableOOMKiller": true, "useHierarchy": true}}"#,
            &[
                "memory.use_hierarchy=1",
                "memory.kmem.tcp.limit_in_bytes=2",
                "memory.oom_control=1",
                "memory.swappiness=10",
            ],
            &[],
        ),
        (
            r#"{"memory": {"swappiness": 101}}"#,
            &["linux/resources/memory/swappiness: 101 is not between 0 and 100"],
            &["linux/resources/memory/swappiness: 101 is not between 0 and 100"],
        ),
        (r#"{"cpu": {"shares": 1024}}"#, &["cpu.shares=1024"], &["cpu.weight=100"]),
        (
            r#"{"cpu": {"quota": 50000, "period": 100000, "burst": 10000, "cpus": "0-1", "mems": "0"}}"#,
            &[
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=50000",
                "cpu.cfs_burst_us=10000",
                "cpuset.cpus=0-1",
                "cpuset.mems=0",
            ],
            &["cpu.max=50000 100000", "cpu.max.burst=10000", "cpuset.cpus=0-1", "cpuset.mems=0"],
        ),
        (r#"{"cpu": {"quota": -1}}"#, &["cpu.cfs_quota_us=-1"], &["cpu.max=max 100000"]),
        (r#"{"cpu": {"period": 50000}}"#, &["cpu.cfs_period_us=50000"], &["cpu.max=max 50000"]),
        (r#"{"cpu": {"idle": 1, "shares": 1024}}"#, &["cpu.idle=1"], &["cpu.idle=1"]),
        (
            r#"{"cpu": {"idle": 0, "shares": 2}}"#,
            &["cpu.idle=0", "cpu.shares=2"],
            &["cpu.idle=0", "cpu.weight=1"],
        ),
        (
            r#"{"cpu": {"realtimeRuntime": 1000, "realtimePeriod": 5000}}"#,
            &["cpu.rt_period_us=5000", "cpu.rt_runtime_us=1000"],
            &[
                "linux/resources/cpu/realtimePeriod: the cpu controller is not available (it exists in cgroup v1 only)",
            ],
        ),
        (
            r#"{"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}]}}"#,
            &["blkio.weight=500", "blkio.weight_device=8:0 10"],
            &["io.bfq.weight=500", "io.bfq.weight=8:0 10"],
        ),
        (
            r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 16, "rate": 1024}],
                            "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}]}}"#,
            &["blkio.throttle.read_bps_device=8:16 1024", "blkio.throttle.write_iops_device=8:16 0"],
            &["io.max=8:16 rbps=1024", "io.max=8:16 wiops=max"],
        ),
        (
            r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}"#,
            &["hugetlb.2MB.limit_in_bytes=4194304", "hugetlb.2MB.rsvd.limit_in_bytes=4194304"],
            &["hugetlb.2MB.max=4194304", "hugetlb.2MB.rsvd.max=4194304"],
        ),
        (
            r#"{"network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]}}"#,
            &["net_cls.classid=1048577", "net_prio.ifpriomap=eth0 5"],
            &[
                "linux/resources/network/classID: the net_cls controller is not available (it exists in cgroup v1 only)",
            ],
        ),
        (
            r#"{"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}}"#,
            &["rdma.max=mlx5_1 hca_handle=3 hca_object=10000"],
            &["rdma.max=mlx5_1 hca_handle=3 hca_object=10000"],
        ),
        (
            r#"{"unified": {"memory.high": "10", "pids.max": "5"}}"#,
            &[
                "linux/resources/unified: holds raw files of cgroup v2, but limits are set in cgroup v1 on this host",
            ],
            &["memory.high=10", "pids.max=5"],
        ),
        (
            r#"{"unified": {"../x": "10"}}"#,
            &[
                "linux/resources/unified: holds raw files of cgroup v2, but limits are set in cgroup v1 on this host",
            ],
            &[
                "linux/resources/unified/../x: must be the name of a file of a controller, such as memory.high",
            ],
        ),
    ];

    #[test]
    fn every_resource_has_its_files_and_order() {
        for (json, v1, v2) in TABLE {
            assert_eq!(lines(Kind::V1, json), *v1, "v1 of {json}");
            assert_eq!(lines(Kind::V2, json), *v2, "v2 of {json}");
        }
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let text = r#"{"memory": {"kernel": 1, "swappiness": 10, "disableOOMKiller": true}}"#;
        let resources: Resources = serde_json::from_str(text).unwrap();
        let places = |kind| ignored(kind, &resources).into_iter().map(|(place, _)| place).collect::<Vec<_>>();
        assert_eq!(places(Kind::V1), ["memory/kernel"]);
        assert_eq!(places(Kind::V2), ["memory/kernel", "memory/swappiness", "memory/disableOOMKiller"]);
    }
}
