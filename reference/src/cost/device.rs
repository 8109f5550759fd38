//! Devices: memory, bandwidth and peak, as their makers publish them.
//!
//! Peaks are those of matrix units without structured sparsity, which datasheets double. Memory is the number in the
//! product's name, in GB of 10⁹ bytes; a driver reports somewhat less or, counted in GiB, somewhat more.

use crate::error::{Error, Result};
use crate::num::Dtype;
use serde::Serialize;

/// FLOP/s of a format.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    /// The format of the operands.
    pub dtype: Dtype,
    /// Floating-point operations a second.
    pub flops_per_second: f64,
}

const fn tera(dtype: Dtype, teraflops: f64) -> Peak {
    Peak { dtype, flops_per_second: teraflops * 1e12 }
}

/// What a model runs on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Device {
    /// Name on the command line.
    pub name: &'static str,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes a second from memory.
    pub bandwidth: f64,
    /// Peak by format, fastest last.
    pub peaks: &'static [Peak],
    /// Where the numbers are from.
    pub source: &'static str,
}

impl Device {
    /// FLOP/s with operands of `dtype`. tf32 serves f32 where a device has it, f16 and bf16 have one speed.
    pub fn peak(&self, dtype: Dtype) -> Option<f64> {
        let like = if dtype == Dtype::F16 { Dtype::Bf16 } else { dtype };
        self.peaks.iter().find(|peak| peak.dtype == like).map(|peak| peak.flops_per_second)
    }

    /// The device of that name.
    ///
    /// # Errors
    /// No such device; the message lists them.
    pub fn find(name: &str) -> Result<&'static Self> {
        DEVICES.iter().find(|device| device.name == name).ok_or_else(|| {
            let names: Vec<&str> = DEVICES.iter().map(|device| device.name).collect();
            Error::ask(format!(
                "no device is called \"{name}\"; there are: {}, and cpu, which is measured",
                names.join(", ")
            ))
        })
    }
}

const GB: u64 = 1_000_000_000;

const HOPPER: &[Peak] = &[
    tera(Dtype::F64, 67.0),
    tera(Dtype::F32, 67.0),
    tera(Dtype::Tf32, 494.7),
    tera(Dtype::Bf16, 989.4),
    tera(Dtype::F8E4M3, 1978.9),
];

const AMPERE: &[Peak] =
    &[tera(Dtype::F64, 19.5), tera(Dtype::F32, 19.5), tera(Dtype::Tf32, 156.0), tera(Dtype::Bf16, 312.0)];

/// Devices that many people ask about.
pub const DEVICES: &[Device] = &[
    Device {
        name: "a100-40gb",
        memory: 40 * GB,
        bandwidth: 1555e9,
        peaks: AMPERE,
        source: "NVIDIA A100 datasheet, SXM, 40 GB",
    },
    Device {
        name: "a100-80gb",
        memory: 80 * GB,
        bandwidth: 2039e9,
        peaks: AMPERE,
        source: "NVIDIA A100 datasheet, SXM, 80 GB",
    },
    Device {
        name: "h100",
        memory: 80 * GB,
        bandwidth: 3350e9,
        peaks: HOPPER,
        source: "NVIDIA H100 datasheet and Hopper whitepaper, SXM5",
    },
    Device { name: "h200", memory: 141 * GB, bandwidth: 4800e9, peaks: HOPPER, source: "NVIDIA H200 datasheet, SXM" },
    Device {
        name: "b200",
        memory: 180 * GB,
        bandwidth: 8000e9,
        peaks: &[
            tera(Dtype::F64, 40.0),
            tera(Dtype::F32, 80.0),
            tera(Dtype::Tf32, 1100.0),
            tera(Dtype::Bf16, 2250.0),
            tera(Dtype::F8E4M3, 4500.0),
        ],
        source: "NVIDIA Blackwell architecture brief, HGX B200 at 1000 W; memory of DGX B200, 1440 GB in 8 devices",
    },
    Device {
        name: "mi300x",
        memory: 192 * GB,
        bandwidth: 5300e9,
        peaks: &[
            tera(Dtype::F64, 163.4),
            tera(Dtype::F32, 163.4),
            tera(Dtype::Tf32, 653.7),
            tera(Dtype::Bf16, 1307.4),
            tera(Dtype::F8E4M3, 2614.9),
        ],
        source: "AMD Instinct MI300X datasheet",
    },
    Device {
        name: "l4",
        memory: 24 * GB,
        bandwidth: 300e9,
        peaks: &[tera(Dtype::F32, 30.3), tera(Dtype::Tf32, 60.0), tera(Dtype::Bf16, 121.0), tera(Dtype::F8E4M3, 242.5)],
        source: "NVIDIA L4 datasheet, its sparse peaks halved",
    },
    Device {
        name: "rtx-4090",
        memory: 24 * GB,
        bandwidth: 1008e9,
        peaks: &[tera(Dtype::F32, 82.6), tera(Dtype::Tf32, 82.6), tera(Dtype::Bf16, 165.2), tera(Dtype::F8E4M3, 330.3)],
        source: "NVIDIA Ada architecture whitepaper, sums in f32",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_answered_with_the_names() {
        assert_eq!(Device::find("a100-80gb").unwrap().peak(Dtype::F16), Some(312e12));
        let message = Device::find("h1000").unwrap_err().to_string();
        assert!(message.contains("\"h1000\"") && message.contains("h100, h200"), "{message}");
        assert_eq!(Device::find("rtx-4090").unwrap().peak(Dtype::F64), None);
    }

    #[test]
    fn a_narrower_format_is_no_slower() {
        for device in DEVICES {
            let peaks: Vec<f64> = device.peaks.iter().map(|peak| peak.flops_per_second).collect();
            assert!(peaks.is_sorted() && device.bandwidth > 1e11 && device.memory >= 24 * GB, "{}", device.name);
        }
    }
}
