"""Conversions of half and bfloat that LLVM calls where the processor has no instruction for them.

The names are those of the compiler runtime, which a Python process does not export. All round to
nearest even; from double they first round to odd, so that nothing is rounded twice.
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import linker

_IR = """
define half @__truncsfhf2(float %x) {
  %b = bitcast float %x to i32
  %r = call i16 @to_half(i32 %b)
  %h = bitcast i16 %r to half
  ret half %h
}

define half @__truncdfhf2(double %x) {
  %b = call i32 @to_odd(double %x)
  %r = call i16 @to_half(i32 %b)
  %h = bitcast i16 %r to half
  ret half %h
}

define bfloat @__truncsfbf2(float %x) {
  %b = bitcast float %x to i32
  %r = call i16 @to_bfloat(i32 %b)
  %h = bitcast i16 %r to bfloat
  ret bfloat %h
}

define bfloat @__truncdfbf2(double %x) {
  %b = call i32 @to_odd(double %x)
  %r = call i16 @to_bfloat(i32 %b)
  %h = bitcast i16 %r to bfloat
  ret bfloat %h
}

define float @__extendhfsf2(half %x) {
  %h = bitcast half %x to i16
  %r = call float @from_half(i16 %h)
  ret float %r
}

define double @__extendhfdf2(half %x) {
  %h = bitcast half %x to i16
  %r = call float @from_half(i16 %h)
  %d = fpext float %r to double
  ret double %d
}

define internal i16 @to_bfloat(i32 %x) {
  %a = and i32 %x, 2147483647
  %nan = icmp ugt i32 %a, 2139095040
  %high = lshr i32 %x, 16
  %odd = and i32 %high, 1
  %bias = add i32 %odd, 32767
  %up = add i32 %x, %bias
  %rounded = lshr i32 %up, 16
  %quiet = or i32 %high, 64
  %r = select i1 %nan, i32 %quiet, i32 %rounded
  %t = trunc i32 %r to i16
  ret i16 %t
}

; 0x477ff000 is 65520, the first that rounds to infinity; 0x38800000 is 2^-14, the least normal.
define internal i16 @to_half(i32 %x) {
  %a = and i32 %x, 2147483647
  %s = lshr i32 %x, 16
  %sign = and i32 %s, 32768
  %top = lshr i32 %a, 13
  %odd = and i32 %top, 1
  %half_ulp = add i32 %odd, 4095
  %up = add i32 %a, %half_ulp
  %rebias = sub i32 %up, 939524096
  %normal = lshr i32 %rebias, 13
  ; adding a half puts the last bit of a subnormal half at the last bit of a float
  %f = bitcast i32 %a to float
  %shifted = fadd float %f, 5.000000e-01
  %sb = bitcast float %shifted to i32
  %subnormal = sub i32 %sb, 1056964608
  %payload = and i32 %top, 1023
  %quiet = or i32 %payload, 32256
  %is_nan = icmp ugt i32 %a, 2139095040
  %is_inf = icmp uge i32 %a, 1199566848
  %is_small = icmp ult i32 %a, 947912704
  %r0 = select i1 %is_small, i32 %subnormal, i32 %normal
  %r1 = select i1 %is_inf, i32 31744, i32 %r0
  %r2 = select i1 %is_nan, i32 %quiet, i32 %r1
  %r = or i32 %r2, %sign
  %t = trunc i32 %r to i16
  ret i16 %t
}

; The float toward zero, its last bit set if anything was cut off.
define internal i32 @to_odd(double %x) {
  %f = fptrunc double %x to float
  %back = fpext float %f to double
  %exact = fcmp ueq double %back, %x
  %a = call double @llvm.fabs.f64(double %back)
  %b = call double @llvm.fabs.f64(double %x)
  %over = fcmp ogt double %a, %b
  %bits = bitcast float %f to i32
  %less = sub i32 %bits, 1
  %toward = select i1 %over, i32 %less, i32 %bits
  %odd = or i32 %toward, 1
  %r = select i1 %exact, i32 %bits, i32 %odd
  ret i32 %r
}

define internal float @from_half(i16 %h) {
  %x = zext i16 %h to i32
  %s = and i32 %x, 32768
  %sign = shl i32 %s, 16
  %m = and i32 %x, 32767
  %o = shl i32 %m, 13
  %e = and i32 %o, 260046848
  %normal = add i32 %o, 939524096
  %special = add i32 %o, 1879048192
  %sub0 = add i32 %o, 947912704
  %sub1 = bitcast i32 %sub0 to float
  %sub2 = fsub float %sub1, 0x3F10000000000000
  %sub = bitcast float %sub2 to i32
  %is_special = icmp eq i32 %e, 260046848
  %is_sub = icmp eq i32 %e, 0
  %r0 = select i1 %is_sub, i32 %sub, i32 %normal
  %r1 = select i1 %is_special, i32 %special, i32 %r0
  %r2 = or i32 %r1, %sign
  %r = bitcast i32 %r2 to float
  ret float %r
}

declare double @llvm.fabs.f64(double)
"""


@functools.cache
def symbols() -> dict[str, int]:
    """Names and addresses of the conversions."""
    return dict(linker.link(_IR).addresses)
