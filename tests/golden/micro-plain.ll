define internal void @micro_4_2(ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step) noinline {
entry:
  %v.1 = alloca <4 x float>
  %v.2 = alloca <4 x float>
  %v.3 = alloca <4 x float>
  %v.4 = alloca <4 x float>
  %v.5 = alloca <4 x float>
  %v.6 = alloca <4 x float>
  %v.7 = alloca <4 x float>
  %v.8 = alloca <4 x float>
  store <4 x float> zeroinitializer, ptr %v.1
  store <4 x float> zeroinitializer, ptr %v.2
  store <4 x float> zeroinitializer, ptr %v.3
  store <4 x float> zeroinitializer, ptr %v.4
  store <4 x float> zeroinitializer, ptr %v.5
  store <4 x float> zeroinitializer, ptr %v.6
  store <4 x float> zeroinitializer, ptr %v.7
  store <4 x float> zeroinitializer, ptr %v.8
  %p.9 = getelementptr i8, ptr %tile, i64 0
  call void @llvm.prefetch.p0(ptr %p.9, i32 0, i32 3, i32 1)
  %p.10 = getelementptr i8, ptr %tile, i64 64
  call void @llvm.prefetch.p0(ptr %p.10, i32 0, i32 3, i32 1)
  %t.11 = add i64 %depth, 0
  %t.12 = udiv i64 %t.11, 1
  br label %head.13
head.13:
  %i.16 = phi i64 [ 0, %entry ], [ %i.17, %body.14 ]
  %t.18 = icmp slt i64 %i.16, %t.12
  br i1 %t.18, label %body.14, label %done.15
body.14:
  %t.19 = mul i64 %i.16, 16
  %p.20 = getelementptr i8, ptr %a, i64 %t.19
  %t.21 = mul i64 %i.16, 32
  %p.22 = getelementptr i8, ptr %b, i64 %t.21
  %p.23 = getelementptr i8, ptr %p.22, i64 0
  %t.24 = load <4 x float>, ptr %p.23, align 16
  %p.25 = getelementptr i8, ptr %p.22, i64 16
  %t.26 = load <4 x float>, ptr %p.25, align 16
  %p.27 = getelementptr i8, ptr %p.20, i64 512
  call void @llvm.prefetch.p0(ptr %p.27, i32 0, i32 3, i32 1)
  %p.28 = getelementptr i8, ptr %p.22, i64 512
  call void @llvm.prefetch.p0(ptr %p.28, i32 0, i32 3, i32 1)
  %p.29 = getelementptr i8, ptr %p.20, i64 0
  %t.30 = load float, ptr %p.29, align 4
  %t.31 = insertelement <4 x float> poison, float %t.30, i32 0
  %t.32 = shufflevector <4 x float> %t.31, <4 x float> poison, <4 x i32> zeroinitializer
  %t.33 = load <4 x float>, ptr %v.1
  %t.34 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.32, <4 x float> %t.24, <4 x float> %t.33)
  store <4 x float> %t.34, ptr %v.1
  %t.35 = load <4 x float>, ptr %v.2
  %t.36 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.32, <4 x float> %t.26, <4 x float> %t.35)
  store <4 x float> %t.36, ptr %v.2
  %p.37 = getelementptr i8, ptr %p.20, i64 4
  %t.38 = load float, ptr %p.37, align 4
  %t.39 = insertelement <4 x float> poison, float %t.38, i32 0
  %t.40 = shufflevector <4 x float> %t.39, <4 x float> poison, <4 x i32> zeroinitializer
  %t.41 = load <4 x float>, ptr %v.3
  %t.42 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.40, <4 x float> %t.24, <4 x float> %t.41)
  store <4 x float> %t.42, ptr %v.3
  %t.43 = load <4 x float>, ptr %v.4
  %t.44 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.40, <4 x float> %t.26, <4 x float> %t.43)
  store <4 x float> %t.44, ptr %v.4
  %p.45 = getelementptr i8, ptr %p.20, i64 8
  %t.46 = load float, ptr %p.45, align 4
  %t.47 = insertelement <4 x float> poison, float %t.46, i32 0
  %t.48 = shufflevector <4 x float> %t.47, <4 x float> poison, <4 x i32> zeroinitializer
  %t.49 = load <4 x float>, ptr %v.5
  %t.50 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.48, <4 x float> %t.24, <4 x float> %t.49)
  store <4 x float> %t.50, ptr %v.5
  %t.51 = load <4 x float>, ptr %v.6
  %t.52 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.48, <4 x float> %t.26, <4 x float> %t.51)
  store <4 x float> %t.52, ptr %v.6
  %p.53 = getelementptr i8, ptr %p.20, i64 12
  %t.54 = load float, ptr %p.53, align 4
  %t.55 = insertelement <4 x float> poison, float %t.54, i32 0
  %t.56 = shufflevector <4 x float> %t.55, <4 x float> poison, <4 x i32> zeroinitializer
  %t.57 = load <4 x float>, ptr %v.7
  %t.58 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.56, <4 x float> %t.24, <4 x float> %t.57)
  store <4 x float> %t.58, ptr %v.7
  %t.59 = load <4 x float>, ptr %v.8
  %t.60 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.56, <4 x float> %t.26, <4 x float> %t.59)
  store <4 x float> %t.60, ptr %v.8
  %i.17 = add i64 %i.16, 1
  br label %head.13
done.15:
  %t.61 = icmp ne ptr %start, null
  br i1 %t.61, label %then.62, label %done.63
then.62:
  %p.64 = getelementptr i8, ptr %start, i64 0
  %t.65 = load <4 x float>, ptr %p.64, align 16
  %t.66 = load <4 x float>, ptr %v.1
  %t.67 = fadd <4 x float> %t.65, %t.66
  store <4 x float> %t.67, ptr %v.1
  %p.68 = getelementptr i8, ptr %start, i64 16
  %t.69 = load <4 x float>, ptr %p.68, align 16
  %t.70 = load <4 x float>, ptr %v.2
  %t.71 = fadd <4 x float> %t.69, %t.70
  store <4 x float> %t.71, ptr %v.2
  %p.72 = getelementptr i8, ptr %start, i64 32
  %t.73 = load <4 x float>, ptr %p.72, align 16
  %t.74 = load <4 x float>, ptr %v.3
  %t.75 = fadd <4 x float> %t.73, %t.74
  store <4 x float> %t.75, ptr %v.3
  %p.76 = getelementptr i8, ptr %start, i64 48
  %t.77 = load <4 x float>, ptr %p.76, align 16
  %t.78 = load <4 x float>, ptr %v.4
  %t.79 = fadd <4 x float> %t.77, %t.78
  store <4 x float> %t.79, ptr %v.4
  %p.80 = getelementptr i8, ptr %start, i64 64
  %t.81 = load <4 x float>, ptr %p.80, align 16
  %t.82 = load <4 x float>, ptr %v.5
  %t.83 = fadd <4 x float> %t.81, %t.82
  store <4 x float> %t.83, ptr %v.5
  %p.84 = getelementptr i8, ptr %start, i64 80
  %t.85 = load <4 x float>, ptr %p.84, align 16
  %t.86 = load <4 x float>, ptr %v.6
  %t.87 = fadd <4 x float> %t.85, %t.86
  store <4 x float> %t.87, ptr %v.6
  %p.88 = getelementptr i8, ptr %start, i64 96
  %t.89 = load <4 x float>, ptr %p.88, align 16
  %t.90 = load <4 x float>, ptr %v.7
  %t.91 = fadd <4 x float> %t.89, %t.90
  store <4 x float> %t.91, ptr %v.7
  %p.92 = getelementptr i8, ptr %start, i64 112
  %t.93 = load <4 x float>, ptr %p.92, align 16
  %t.94 = load <4 x float>, ptr %v.8
  %t.95 = fadd <4 x float> %t.93, %t.94
  store <4 x float> %t.95, ptr %v.8
  br label %done.63
done.63:
  %t.96 = load <4 x float>, ptr %v.1
  %p.97 = getelementptr i8, ptr %tile, i64 0
  store <4 x float> %t.96, ptr %p.97, align 16
  %t.98 = load <4 x float>, ptr %v.2
  %p.99 = getelementptr i8, ptr %tile, i64 16
  store <4 x float> %t.98, ptr %p.99, align 16
  %t.100 = load <4 x float>, ptr %v.3
  %p.101 = getelementptr i8, ptr %tile, i64 32
  store <4 x float> %t.100, ptr %p.101, align 16
  %t.102 = load <4 x float>, ptr %v.4
  %p.103 = getelementptr i8, ptr %tile, i64 48
  store <4 x float> %t.102, ptr %p.103, align 16
  %t.104 = load <4 x float>, ptr %v.5
  %p.105 = getelementptr i8, ptr %tile, i64 64
  store <4 x float> %t.104, ptr %p.105, align 16
  %t.106 = load <4 x float>, ptr %v.6
  %p.107 = getelementptr i8, ptr %tile, i64 80
  store <4 x float> %t.106, ptr %p.107, align 16
  %t.108 = load <4 x float>, ptr %v.7
  %p.109 = getelementptr i8, ptr %tile, i64 96
  store <4 x float> %t.108, ptr %p.109, align 16
  %t.110 = load <4 x float>, ptr %v.8
  %p.111 = getelementptr i8, ptr %tile, i64 112
  store <4 x float> %t.110, ptr %p.111, align 16
  ret void
}
