// Which vector instructions host loops may use: asked of the CPU once; private to the core.
#pragma once

namespace devview {

/// Each kind has the instructions of those before it. avx2: bmi, bmi2 and f16c as well; avx512: f,
/// bw, cd, dq and vl.
enum class CpuKind { portable, avx2, avx512, avx512vbmi };

/// The best kind that this CPU and this build have, or less where
/// DEVVIEW_CPU=portable|avx2|avx512|avx512vbmi asks for it; of another word nothing is taken. Read
/// once.
CpuKind cpu_kind() noexcept;

/// What plans work asks first: loops that run it cannot throw.
/// @throws LayoutError  DEVVIEW_CPU is none of its words.
void check_cpu_kind();

/// What the CPU has, whatever DEVVIEW_CPU says.
CpuKind detected_cpu_kind() noexcept;

}  // namespace devview
