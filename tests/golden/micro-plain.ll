define internal void @micro_4_2(ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step, ptr %next, i64 %pace) noinline {
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
  %t.19 = mul i64 %i.16, %pace
  %p.20 = getelementptr i8, ptr %next, i64 %t.19
  %p.21 = getelementptr i8, ptr %p.20, i64 0
  call void @llvm.prefetch.p0(ptr %p.21, i32 0, i32 2, i32 1)
  %t.22 = mul i64 %i.16, 16
  %t.23 = add i64 %t.22, 0
  %p.24 = getelementptr i8, ptr %a, i64 %t.23
  %t.25 = mul i64 %i.16, 32
  %t.26 = add i64 %t.25, 0
  %p.27 = getelementptr i8, ptr %b, i64 %t.26
  %p.28 = getelementptr i8, ptr %p.27, i64 0
  %t.29 = load <4 x float>, ptr %p.28, align 16
  %p.30 = getelementptr i8, ptr %p.27, i64 16
  %t.31 = load <4 x float>, ptr %p.30, align 16
  %p.32 = getelementptr i8, ptr %p.24, i64 512
  call void @llvm.prefetch.p0(ptr %p.32, i32 0, i32 3, i32 1)
  %p.33 = getelementptr i8, ptr %p.24, i64 0
  %t.34 = load float, ptr %p.33, align 4
  %t.35 = insertelement <4 x float> poison, float %t.34, i32 0
  %t.36 = shufflevector <4 x float> %t.35, <4 x float> poison, <4 x i32> zeroinitializer
  %t.37 = load <4 x float>, ptr %v.1
  %t.38 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.36, <4 x float> %t.29, <4 x float> %t.37)
  store <4 x float> %t.38, ptr %v.1
  %t.39 = load <4 x float>, ptr %v.2
  %t.40 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.36, <4 x float> %t.31, <4 x float> %t.39)
  store <4 x float> %t.40, ptr %v.2
  %p.41 = getelementptr i8, ptr %p.24, i64 4
  %t.42 = load float, ptr %p.41, align 4
  %t.43 = insertelement <4 x float> poison, float %t.42, i32 0
  %t.44 = shufflevector <4 x float> %t.43, <4 x float> poison, <4 x i32> zeroinitializer
  %t.45 = load <4 x float>, ptr %v.3
  %t.46 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.44, <4 x float> %t.29, <4 x float> %t.45)
  store <4 x float> %t.46, ptr %v.3
  %t.47 = load <4 x float>, ptr %v.4
  %t.48 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.44, <4 x float> %t.31, <4 x float> %t.47)
  store <4 x float> %t.48, ptr %v.4
  %p.49 = getelementptr i8, ptr %p.24, i64 8
  %t.50 = load float, ptr %p.49, align 4
  %t.51 = insertelement <4 x float> poison, float %t.50, i32 0
  %t.52 = shufflevector <4 x float> %t.51, <4 x float> poison, <4 x i32> zeroinitializer
  %t.53 = load <4 x float>, ptr %v.5
  %t.54 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.52, <4 x float> %t.29, <4 x float> %t.53)
  store <4 x float> %t.54, ptr %v.5
  %t.55 = load <4 x float>, ptr %v.6
  %t.56 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.52, <4 x float> %t.31, <4 x float> %t.55)
  store <4 x float> %t.56, ptr %v.6
  %p.57 = getelementptr i8, ptr %p.24, i64 12
  %t.58 = load float, ptr %p.57, align 4
  %t.59 = insertelement <4 x float> poison, float %t.58, i32 0
  %t.60 = shufflevector <4 x float> %t.59, <4 x float> poison, <4 x i32> zeroinitializer
  %t.61 = load <4 x float>, ptr %v.7
  %t.62 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.60, <4 x float> %t.29, <4 x float> %t.61)
  store <4 x float> %t.62, ptr %v.7
  %t.63 = load <4 x float>, ptr %v.8
  %t.64 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.60, <4 x float> %t.31, <4 x float> %t.63)
  store <4 x float> %t.64, ptr %v.8
  %t.65 = mul i64 %i.16, 16
  %t.66 = add i64 %t.65, 16
  %p.67 = getelementptr i8, ptr %a, i64 %t.66
  %t.68 = mul i64 %i.16, 32
  %t.69 = add i64 %t.68, 32
  %p.70 = getelementptr i8, ptr %b, i64 %t.69
  %p.71 = getelementptr i8, ptr %p.70, i64 0
  %t.72 = load <4 x float>, ptr %p.71, align 16
  %p.73 = getelementptr i8, ptr %p.70, i64 16
  %t.74 = load <4 x float>, ptr %p.73, align 16
  %p.75 = getelementptr i8, ptr %p.67, i64 512
  call void @llvm.prefetch.p0(ptr %p.75, i32 0, i32 3, i32 1)
  %p.76 = getelementptr i8, ptr %p.67, i64 0
  %t.77 = load float, ptr %p.76, align 4
  %t.78 = insertelement <4 x float> poison, float %t.77, i32 0
  %t.79 = shufflevector <4 x float> %t.78, <4 x float> poison, <4 x i32> zeroinitializer
  %t.80 = load <4 x float>, ptr %v.1
  %t.81 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.79, <4 x float> %t.72, <4 x float> %t.80)
  store <4 x float> %t.81, ptr %v.1
  %t.82 = load <4 x float>, ptr %v.2
  %t.83 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.79, <4 x float> %t.74, <4 x float> %t.82)
  store <4 x float> %t.83, ptr %v.2
  %p.84 = getelementptr i8, ptr %p.67, i64 4
  %t.85 = load float, ptr %p.84, align 4
  %t.86 = insertelement <4 x float> poison, float %t.85, i32 0
  %t.87 = shufflevector <4 x float> %t.86, <4 x float> poison, <4 x i32> zeroinitializer
  %t.88 = load <4 x float>, ptr %v.3
  %t.89 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.87, <4 x float> %t.72, <4 x float> %t.88)
  store <4 x float> %t.89, ptr %v.3
  %t.90 = load <4 x float>, ptr %v.4
  %t.91 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.87, <4 x float> %t.74, <4 x float> %t.90)
  store <4 x float> %t.91, ptr %v.4
  %p.92 = getelementptr i8, ptr %p.67, i64 8
  %t.93 = load float, ptr %p.92, align 4
  %t.94 = insertelement <4 x float> poison, float %t.93, i32 0
  %t.95 = shufflevector <4 x float> %t.94, <4 x float> poison, <4 x i32> zeroinitializer
  %t.96 = load <4 x float>, ptr %v.5
  %t.97 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.95, <4 x float> %t.72, <4 x float> %t.96)
  store <4 x float> %t.97, ptr %v.5
  %t.98 = load <4 x float>, ptr %v.6
  %t.99 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.95, <4 x float> %t.74, <4 x float> %t.98)
  store <4 x float> %t.99, ptr %v.6
  %p.100 = getelementptr i8, ptr %p.67, i64 12
  %t.101 = load float, ptr %p.100, align 4
  %t.102 = insertelement <4 x float> poison, float %t.101, i32 0
  %t.103 = shufflevector <4 x float> %t.102, <4 x float> poison, <4 x i32> zeroinitializer
  %t.104 = load <4 x float>, ptr %v.7
  %t.105 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.103, <4 x float> %t.72, <4 x float> %t.104)
  store <4 x float> %t.105, ptr %v.7
  %t.106 = load <4 x float>, ptr %v.8
  %t.107 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.103, <4 x float> %t.74, <4 x float> %t.106)
  store <4 x float> %t.107, ptr %v.8
  %i.17 = add i64 %i.16, 2
  br label %head.13
done.15:
  %t.108 = icmp ne ptr %start, null
  br i1 %t.108, label %then.109, label %done.110
then.109:
  %p.111 = getelementptr i8, ptr %start, i64 0
  %t.112 = load <4 x float>, ptr %p.111, align 16
  %t.113 = load <4 x float>, ptr %v.1
  %t.114 = fadd <4 x float> %t.112, %t.113
  store <4 x float> %t.114, ptr %v.1
  %p.115 = getelementptr i8, ptr %start, i64 16
  %t.116 = load <4 x float>, ptr %p.115, align 16
  %t.117 = load <4 x float>, ptr %v.2
  %t.118 = fadd <4 x float> %t.116, %t.117
  store <4 x float> %t.118, ptr %v.2
  %p.119 = getelementptr i8, ptr %start, i64 32
  %t.120 = load <4 x float>, ptr %p.119, align 16
  %t.121 = load <4 x float>, ptr %v.3
  %t.122 = fadd <4 x float> %t.120, %t.121
  store <4 x float> %t.122, ptr %v.3
  %p.123 = getelementptr i8, ptr %start, i64 48
  %t.124 = load <4 x float>, ptr %p.123, align 16
  %t.125 = load <4 x float>, ptr %v.4
  %t.126 = fadd <4 x float> %t.124, %t.125
  store <4 x float> %t.126, ptr %v.4
  %p.127 = getelementptr i8, ptr %start, i64 64
  %t.128 = load <4 x float>, ptr %p.127, align 16
  %t.129 = load <4 x float>, ptr %v.5
  %t.130 = fadd <4 x float> %t.128, %t.129
  store <4 x float> %t.130, ptr %v.5
  %p.131 = getelementptr i8, ptr %start, i64 80
  %t.132 = load <4 x float>, ptr %p.131, align 16
  %t.133 = load <4 x float>, ptr %v.6
  %t.134 = fadd <4 x float> %t.132, %t.133
  store <4 x float> %t.134, ptr %v.6
  %p.135 = getelementptr i8, ptr %start, i64 96
  %t.136 = load <4 x float>, ptr %p.135, align 16
  %t.137 = load <4 x float>, ptr %v.7
  %t.138 = fadd <4 x float> %t.136, %t.137
  store <4 x float> %t.138, ptr %v.7
  %p.139 = getelementptr i8, ptr %start, i64 112
  %t.140 = load <4 x float>, ptr %p.139, align 16
  %t.141 = load <4 x float>, ptr %v.8
  %t.142 = fadd <4 x float> %t.140, %t.141
  store <4 x float> %t.142, ptr %v.8
  br label %done.110
done.110:
  %t.143 = load <4 x float>, ptr %v.1
  %p.144 = getelementptr i8, ptr %tile, i64 0
  store <4 x float> %t.143, ptr %p.144, align 16
  %t.145 = load <4 x float>, ptr %v.2
  %p.146 = getelementptr i8, ptr %tile, i64 16
  store <4 x float> %t.145, ptr %p.146, align 16
  %t.147 = load <4 x float>, ptr %v.3
  %p.148 = getelementptr i8, ptr %tile, i64 32
  store <4 x float> %t.147, ptr %p.148, align 16
  %t.149 = load <4 x float>, ptr %v.4
  %p.150 = getelementptr i8, ptr %tile, i64 48
  store <4 x float> %t.149, ptr %p.150, align 16
  %t.151 = load <4 x float>, ptr %v.5
  %p.152 = getelementptr i8, ptr %tile, i64 64
  store <4 x float> %t.151, ptr %p.152, align 16
  %t.153 = load <4 x float>, ptr %v.6
  %p.154 = getelementptr i8, ptr %tile, i64 80
  store <4 x float> %t.153, ptr %p.154, align 16
  %t.155 = load <4 x float>, ptr %v.7
  %p.156 = getelementptr i8, ptr %tile, i64 96
  store <4 x float> %t.155, ptr %p.156, align 16
  %t.157 = load <4 x float>, ptr %v.8
  %p.158 = getelementptr i8, ptr %tile, i64 112
  store <4 x float> %t.157, ptr %p.158, align 16
  ret void
}
