define internal void @micro_6_2(ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step) noinline {
entry:
  %v.1 = alloca <8 x float>
  %v.2 = alloca <8 x float>
  %v.3 = alloca <8 x float>
  %v.4 = alloca <8 x float>
  %v.5 = alloca <8 x float>
  %v.6 = alloca <8 x float>
  %v.7 = alloca <8 x float>
  %v.8 = alloca <8 x float>
  %v.9 = alloca <8 x float>
  %v.10 = alloca <8 x float>
  %v.11 = alloca <8 x float>
  %v.12 = alloca <8 x float>
  store <8 x float> zeroinitializer, ptr %v.1
  store <8 x float> zeroinitializer, ptr %v.2
  store <8 x float> zeroinitializer, ptr %v.3
  store <8 x float> zeroinitializer, ptr %v.4
  store <8 x float> zeroinitializer, ptr %v.5
  store <8 x float> zeroinitializer, ptr %v.6
  store <8 x float> zeroinitializer, ptr %v.7
  store <8 x float> zeroinitializer, ptr %v.8
  store <8 x float> zeroinitializer, ptr %v.9
  store <8 x float> zeroinitializer, ptr %v.10
  store <8 x float> zeroinitializer, ptr %v.11
  store <8 x float> zeroinitializer, ptr %v.12
  %p.13 = getelementptr i8, ptr %tile, i64 0
  call void @llvm.prefetch.p0(ptr %p.13, i32 0, i32 3, i32 1)
  %p.14 = getelementptr i8, ptr %tile, i64 64
  call void @llvm.prefetch.p0(ptr %p.14, i32 0, i32 3, i32 1)
  %p.15 = getelementptr i8, ptr %tile, i64 128
  call void @llvm.prefetch.p0(ptr %p.15, i32 0, i32 3, i32 1)
  %p.16 = getelementptr i8, ptr %tile, i64 192
  call void @llvm.prefetch.p0(ptr %p.16, i32 0, i32 3, i32 1)
  %p.17 = getelementptr i8, ptr %tile, i64 256
  call void @llvm.prefetch.p0(ptr %p.17, i32 0, i32 3, i32 1)
  %p.18 = getelementptr i8, ptr %tile, i64 320
  call void @llvm.prefetch.p0(ptr %p.18, i32 0, i32 3, i32 1)
  %t.19 = add i64 %depth, 0
  %t.20 = udiv i64 %t.19, 1
  br label %head.21
head.21:
  %i.24 = phi i64 [ 0, %entry ], [ %i.25, %body.22 ]
  %t.26 = icmp slt i64 %i.24, %t.20
  br i1 %t.26, label %body.22, label %done.23
body.22:
  %t.27 = mul i64 %i.24, 24
  %p.28 = getelementptr i8, ptr %a, i64 %t.27
  %t.29 = mul i64 %i.24, 64
  %p.30 = getelementptr i8, ptr %b, i64 %t.29
  %p.31 = getelementptr i8, ptr %p.30, i64 0
  %t.32 = load <8 x float>, ptr %p.31, align 16
  %p.33 = getelementptr i8, ptr %p.30, i64 32
  %t.34 = load <8 x float>, ptr %p.33, align 16
  %p.35 = getelementptr i8, ptr %p.28, i64 768
  call void @llvm.prefetch.p0(ptr %p.35, i32 0, i32 3, i32 1)
  %p.36 = getelementptr i8, ptr %p.30, i64 1024
  call void @llvm.prefetch.p0(ptr %p.36, i32 0, i32 3, i32 1)
  %p.37 = getelementptr i8, ptr %p.28, i64 0
  %t.38 = load float, ptr %p.37, align 4
  %t.39 = insertelement <8 x float> poison, float %t.38, i32 0
  %t.40 = shufflevector <8 x float> %t.39, <8 x float> poison, <8 x i32> zeroinitializer
  %t.41 = load <8 x float>, ptr %v.1
  %t.42 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.40, <8 x float> %t.32, <8 x float> %t.41)
  store <8 x float> %t.42, ptr %v.1
  %t.43 = load <8 x float>, ptr %v.2
  %t.44 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.40, <8 x float> %t.34, <8 x float> %t.43)
  store <8 x float> %t.44, ptr %v.2
  %p.45 = getelementptr i8, ptr %p.28, i64 4
  %t.46 = load float, ptr %p.45, align 4
  %t.47 = insertelement <8 x float> poison, float %t.46, i32 0
  %t.48 = shufflevector <8 x float> %t.47, <8 x float> poison, <8 x i32> zeroinitializer
  %t.49 = load <8 x float>, ptr %v.3
  %t.50 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.48, <8 x float> %t.32, <8 x float> %t.49)
  store <8 x float> %t.50, ptr %v.3
  %t.51 = load <8 x float>, ptr %v.4
  %t.52 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.48, <8 x float> %t.34, <8 x float> %t.51)
  store <8 x float> %t.52, ptr %v.4
  %p.53 = getelementptr i8, ptr %p.28, i64 8
  %t.54 = load float, ptr %p.53, align 4
  %t.55 = insertelement <8 x float> poison, float %t.54, i32 0
  %t.56 = shufflevector <8 x float> %t.55, <8 x float> poison, <8 x i32> zeroinitializer
  %t.57 = load <8 x float>, ptr %v.5
  %t.58 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.56, <8 x float> %t.32, <8 x float> %t.57)
  store <8 x float> %t.58, ptr %v.5
  %t.59 = load <8 x float>, ptr %v.6
  %t.60 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.56, <8 x float> %t.34, <8 x float> %t.59)
  store <8 x float> %t.60, ptr %v.6
  %p.61 = getelementptr i8, ptr %p.28, i64 12
  %t.62 = load float, ptr %p.61, align 4
  %t.63 = insertelement <8 x float> poison, float %t.62, i32 0
  %t.64 = shufflevector <8 x float> %t.63, <8 x float> poison, <8 x i32> zeroinitializer
  %t.65 = load <8 x float>, ptr %v.7
  %t.66 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.64, <8 x float> %t.32, <8 x float> %t.65)
  store <8 x float> %t.66, ptr %v.7
  %t.67 = load <8 x float>, ptr %v.8
  %t.68 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.64, <8 x float> %t.34, <8 x float> %t.67)
  store <8 x float> %t.68, ptr %v.8
  %p.69 = getelementptr i8, ptr %p.28, i64 16
  %t.70 = load float, ptr %p.69, align 4
  %t.71 = insertelement <8 x float> poison, float %t.70, i32 0
  %t.72 = shufflevector <8 x float> %t.71, <8 x float> poison, <8 x i32> zeroinitializer
  %t.73 = load <8 x float>, ptr %v.9
  %t.74 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.72, <8 x float> %t.32, <8 x float> %t.73)
  store <8 x float> %t.74, ptr %v.9
  %t.75 = load <8 x float>, ptr %v.10
  %t.76 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.72, <8 x float> %t.34, <8 x float> %t.75)
  store <8 x float> %t.76, ptr %v.10
  %p.77 = getelementptr i8, ptr %p.28, i64 20
  %t.78 = load float, ptr %p.77, align 4
  %t.79 = insertelement <8 x float> poison, float %t.78, i32 0
  %t.80 = shufflevector <8 x float> %t.79, <8 x float> poison, <8 x i32> zeroinitializer
  %t.81 = load <8 x float>, ptr %v.11
  %t.82 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.80, <8 x float> %t.32, <8 x float> %t.81)
  store <8 x float> %t.82, ptr %v.11
  %t.83 = load <8 x float>, ptr %v.12
  %t.84 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.80, <8 x float> %t.34, <8 x float> %t.83)
  store <8 x float> %t.84, ptr %v.12
  %i.25 = add i64 %i.24, 1
  br label %head.21
done.23:
  %t.85 = icmp ne ptr %start, null
  br i1 %t.85, label %then.86, label %done.87
then.86:
  %p.88 = getelementptr i8, ptr %start, i64 0
  %t.89 = load <8 x float>, ptr %p.88, align 16
  %t.90 = load <8 x float>, ptr %v.1
  %t.91 = fadd <8 x float> %t.89, %t.90
  store <8 x float> %t.91, ptr %v.1
  %p.92 = getelementptr i8, ptr %start, i64 32
  %t.93 = load <8 x float>, ptr %p.92, align 16
  %t.94 = load <8 x float>, ptr %v.2
  %t.95 = fadd <8 x float> %t.93, %t.94
  store <8 x float> %t.95, ptr %v.2
  %p.96 = getelementptr i8, ptr %start, i64 64
  %t.97 = load <8 x float>, ptr %p.96, align 16
  %t.98 = load <8 x float>, ptr %v.3
  %t.99 = fadd <8 x float> %t.97, %t.98
  store <8 x float> %t.99, ptr %v.3
  %p.100 = getelementptr i8, ptr %start, i64 96
  %t.101 = load <8 x float>, ptr %p.100, align 16
  %t.102 = load <8 x float>, ptr %v.4
  %t.103 = fadd <8 x float> %t.101, %t.102
  store <8 x float> %t.103, ptr %v.4
  %p.104 = getelementptr i8, ptr %start, i64 128
  %t.105 = load <8 x float>, ptr %p.104, align 16
  %t.106 = load <8 x float>, ptr %v.5
  %t.107 = fadd <8 x float> %t.105, %t.106
  store <8 x float> %t.107, ptr %v.5
  %p.108 = getelementptr i8, ptr %start, i64 160
  %t.109 = load <8 x float>, ptr %p.108, align 16
  %t.110 = load <8 x float>, ptr %v.6
  %t.111 = fadd <8 x float> %t.109, %t.110
  store <8 x float> %t.111, ptr %v.6
  %p.112 = getelementptr i8, ptr %start, i64 192
  %t.113 = load <8 x float>, ptr %p.112, align 16
  %t.114 = load <8 x float>, ptr %v.7
  %t.115 = fadd <8 x float> %t.113, %t.114
  store <8 x float> %t.115, ptr %v.7
  %p.116 = getelementptr i8, ptr %start, i64 224
  %t.117 = load <8 x float>, ptr %p.116, align 16
  %t.118 = load <8 x float>, ptr %v.8
  %t.119 = fadd <8 x float> %t.117, %t.118
  store <8 x float> %t.119, ptr %v.8
  %p.120 = getelementptr i8, ptr %start, i64 256
  %t.121 = load <8 x float>, ptr %p.120, align 16
  %t.122 = load <8 x float>, ptr %v.9
  %t.123 = fadd <8 x float> %t.121, %t.122
  store <8 x float> %t.123, ptr %v.9
  %p.124 = getelementptr i8, ptr %start, i64 288
  %t.125 = load <8 x float>, ptr %p.124, align 16
  %t.126 = load <8 x float>, ptr %v.10
  %t.127 = fadd <8 x float> %t.125, %t.126
  store <8 x float> %t.127, ptr %v.10
  %p.128 = getelementptr i8, ptr %start, i64 320
  %t.129 = load <8 x float>, ptr %p.128, align 16
  %t.130 = load <8 x float>, ptr %v.11
  %t.131 = fadd <8 x float> %t.129, %t.130
  store <8 x float> %t.131, ptr %v.11
  %p.132 = getelementptr i8, ptr %start, i64 352
  %t.133 = load <8 x float>, ptr %p.132, align 16
  %t.134 = load <8 x float>, ptr %v.12
  %t.135 = fadd <8 x float> %t.133, %t.134
  store <8 x float> %t.135, ptr %v.12
  br label %done.87
done.87:
  %t.136 = load <8 x float>, ptr %v.1
  %p.137 = getelementptr i8, ptr %tile, i64 0
  store <8 x float> %t.136, ptr %p.137, align 16
  %t.138 = load <8 x float>, ptr %v.2
  %p.139 = getelementptr i8, ptr %tile, i64 32
  store <8 x float> %t.138, ptr %p.139, align 16
  %t.140 = load <8 x float>, ptr %v.3
  %p.141 = getelementptr i8, ptr %tile, i64 64
  store <8 x float> %t.140, ptr %p.141, align 16
  %t.142 = load <8 x float>, ptr %v.4
  %p.143 = getelementptr i8, ptr %tile, i64 96
  store <8 x float> %t.142, ptr %p.143, align 16
  %t.144 = load <8 x float>, ptr %v.5
  %p.145 = getelementptr i8, ptr %tile, i64 128
  store <8 x float> %t.144, ptr %p.145, align 16
  %t.146 = load <8 x float>, ptr %v.6
  %p.147 = getelementptr i8, ptr %tile, i64 160
  store <8 x float> %t.146, ptr %p.147, align 16
  %t.148 = load <8 x float>, ptr %v.7
  %p.149 = getelementptr i8, ptr %tile, i64 192
  store <8 x float> %t.148, ptr %p.149, align 16
  %t.150 = load <8 x float>, ptr %v.8
  %p.151 = getelementptr i8, ptr %tile, i64 224
  store <8 x float> %t.150, ptr %p.151, align 16
  %t.152 = load <8 x float>, ptr %v.9
  %p.153 = getelementptr i8, ptr %tile, i64 256
  store <8 x float> %t.152, ptr %p.153, align 16
  %t.154 = load <8 x float>, ptr %v.10
  %p.155 = getelementptr i8, ptr %tile, i64 288
  store <8 x float> %t.154, ptr %p.155, align 16
  %t.156 = load <8 x float>, ptr %v.11
  %p.157 = getelementptr i8, ptr %tile, i64 320
  store <8 x float> %t.156, ptr %p.157, align 16
  %t.158 = load <8 x float>, ptr %v.12
  %p.159 = getelementptr i8, ptr %tile, i64 352
  store <8 x float> %t.158, ptr %p.159, align 16
  ret void
}
