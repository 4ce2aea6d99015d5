define internal void @micro_6_2(ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step, ptr %next, i64 %pace) noinline {
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
  %t.27 = mul i64 %i.24, %pace
  %p.28 = getelementptr i8, ptr %next, i64 %t.27
  %p.29 = getelementptr i8, ptr %p.28, i64 0
  call void @llvm.prefetch.p0(ptr %p.29, i32 0, i32 2, i32 1)
  %t.30 = mul i64 %i.24, 24
  %t.31 = add i64 %t.30, 0
  %p.32 = getelementptr i8, ptr %a, i64 %t.31
  %t.33 = mul i64 %i.24, 64
  %t.34 = add i64 %t.33, 0
  %p.35 = getelementptr i8, ptr %b, i64 %t.34
  %p.36 = getelementptr i8, ptr %p.35, i64 0
  %t.37 = load <8 x float>, ptr %p.36, align 16
  %p.38 = getelementptr i8, ptr %p.35, i64 32
  %t.39 = load <8 x float>, ptr %p.38, align 16
  %p.40 = getelementptr i8, ptr %p.32, i64 768
  call void @llvm.prefetch.p0(ptr %p.40, i32 0, i32 3, i32 1)
  %p.41 = getelementptr i8, ptr %p.32, i64 0
  %t.42 = load float, ptr %p.41, align 4
  %t.43 = insertelement <8 x float> poison, float %t.42, i32 0
  %t.44 = shufflevector <8 x float> %t.43, <8 x float> poison, <8 x i32> zeroinitializer
  %t.45 = load <8 x float>, ptr %v.1
  %t.46 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.44, <8 x float> %t.37, <8 x float> %t.45)
  store <8 x float> %t.46, ptr %v.1
  %t.47 = load <8 x float>, ptr %v.2
  %t.48 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.44, <8 x float> %t.39, <8 x float> %t.47)
  store <8 x float> %t.48, ptr %v.2
  %p.49 = getelementptr i8, ptr %p.32, i64 4
  %t.50 = load float, ptr %p.49, align 4
  %t.51 = insertelement <8 x float> poison, float %t.50, i32 0
  %t.52 = shufflevector <8 x float> %t.51, <8 x float> poison, <8 x i32> zeroinitializer
  %t.53 = load <8 x float>, ptr %v.3
  %t.54 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.52, <8 x float> %t.37, <8 x float> %t.53)
  store <8 x float> %t.54, ptr %v.3
  %t.55 = load <8 x float>, ptr %v.4
  %t.56 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.52, <8 x float> %t.39, <8 x float> %t.55)
  store <8 x float> %t.56, ptr %v.4
  %p.57 = getelementptr i8, ptr %p.32, i64 8
  %t.58 = load float, ptr %p.57, align 4
  %t.59 = insertelement <8 x float> poison, float %t.58, i32 0
  %t.60 = shufflevector <8 x float> %t.59, <8 x float> poison, <8 x i32> zeroinitializer
  %t.61 = load <8 x float>, ptr %v.5
  %t.62 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.60, <8 x float> %t.37, <8 x float> %t.61)
  store <8 x float> %t.62, ptr %v.5
  %t.63 = load <8 x float>, ptr %v.6
  %t.64 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.60, <8 x float> %t.39, <8 x float> %t.63)
  store <8 x float> %t.64, ptr %v.6
  %p.65 = getelementptr i8, ptr %p.32, i64 12
  %t.66 = load float, ptr %p.65, align 4
  %t.67 = insertelement <8 x float> poison, float %t.66, i32 0
  %t.68 = shufflevector <8 x float> %t.67, <8 x float> poison, <8 x i32> zeroinitializer
  %t.69 = load <8 x float>, ptr %v.7
  %t.70 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.68, <8 x float> %t.37, <8 x float> %t.69)
  store <8 x float> %t.70, ptr %v.7
  %t.71 = load <8 x float>, ptr %v.8
  %t.72 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.68, <8 x float> %t.39, <8 x float> %t.71)
  store <8 x float> %t.72, ptr %v.8
  %p.73 = getelementptr i8, ptr %p.32, i64 16
  %t.74 = load float, ptr %p.73, align 4
  %t.75 = insertelement <8 x float> poison, float %t.74, i32 0
  %t.76 = shufflevector <8 x float> %t.75, <8 x float> poison, <8 x i32> zeroinitializer
  %t.77 = load <8 x float>, ptr %v.9
  %t.78 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.76, <8 x float> %t.37, <8 x float> %t.77)
  store <8 x float> %t.78, ptr %v.9
  %t.79 = load <8 x float>, ptr %v.10
  %t.80 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.76, <8 x float> %t.39, <8 x float> %t.79)
  store <8 x float> %t.80, ptr %v.10
  %p.81 = getelementptr i8, ptr %p.32, i64 20
  %t.82 = load float, ptr %p.81, align 4
  %t.83 = insertelement <8 x float> poison, float %t.82, i32 0
  %t.84 = shufflevector <8 x float> %t.83, <8 x float> poison, <8 x i32> zeroinitializer
  %t.85 = load <8 x float>, ptr %v.11
  %t.86 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.84, <8 x float> %t.37, <8 x float> %t.85)
  store <8 x float> %t.86, ptr %v.11
  %t.87 = load <8 x float>, ptr %v.12
  %t.88 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.84, <8 x float> %t.39, <8 x float> %t.87)
  store <8 x float> %t.88, ptr %v.12
  %t.89 = mul i64 %i.24, 24
  %t.90 = add i64 %t.89, 24
  %p.91 = getelementptr i8, ptr %a, i64 %t.90
  %t.92 = mul i64 %i.24, 64
  %t.93 = add i64 %t.92, 64
  %p.94 = getelementptr i8, ptr %b, i64 %t.93
  %p.95 = getelementptr i8, ptr %p.94, i64 0
  %t.96 = load <8 x float>, ptr %p.95, align 16
  %p.97 = getelementptr i8, ptr %p.94, i64 32
  %t.98 = load <8 x float>, ptr %p.97, align 16
  %p.99 = getelementptr i8, ptr %p.91, i64 768
  call void @llvm.prefetch.p0(ptr %p.99, i32 0, i32 3, i32 1)
  %p.100 = getelementptr i8, ptr %p.91, i64 0
  %t.101 = load float, ptr %p.100, align 4
  %t.102 = insertelement <8 x float> poison, float %t.101, i32 0
  %t.103 = shufflevector <8 x float> %t.102, <8 x float> poison, <8 x i32> zeroinitializer
  %t.104 = load <8 x float>, ptr %v.1
  %t.105 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.103, <8 x float> %t.96, <8 x float> %t.104)
  store <8 x float> %t.105, ptr %v.1
  %t.106 = load <8 x float>, ptr %v.2
  %t.107 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.103, <8 x float> %t.98, <8 x float> %t.106)
  store <8 x float> %t.107, ptr %v.2
  %p.108 = getelementptr i8, ptr %p.91, i64 4
  %t.109 = load float, ptr %p.108, align 4
  %t.110 = insertelement <8 x float> poison, float %t.109, i32 0
  %t.111 = shufflevector <8 x float> %t.110, <8 x float> poison, <8 x i32> zeroinitializer
  %t.112 = load <8 x float>, ptr %v.3
  %t.113 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.111, <8 x float> %t.96, <8 x float> %t.112)
  store <8 x float> %t.113, ptr %v.3
  %t.114 = load <8 x float>, ptr %v.4
  %t.115 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.111, <8 x float> %t.98, <8 x float> %t.114)
  store <8 x float> %t.115, ptr %v.4
  %p.116 = getelementptr i8, ptr %p.91, i64 8
  %t.117 = load float, ptr %p.116, align 4
  %t.118 = insertelement <8 x float> poison, float %t.117, i32 0
  %t.119 = shufflevector <8 x float> %t.118, <8 x float> poison, <8 x i32> zeroinitializer
  %t.120 = load <8 x float>, ptr %v.5
  %t.121 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.119, <8 x float> %t.96, <8 x float> %t.120)
  store <8 x float> %t.121, ptr %v.5
  %t.122 = load <8 x float>, ptr %v.6
  %t.123 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.119, <8 x float> %t.98, <8 x float> %t.122)
  store <8 x float> %t.123, ptr %v.6
  %p.124 = getelementptr i8, ptr %p.91, i64 12
  %t.125 = load float, ptr %p.124, align 4
  %t.126 = insertelement <8 x float> poison, float %t.125, i32 0
  %t.127 = shufflevector <8 x float> %t.126, <8 x float> poison, <8 x i32> zeroinitializer
  %t.128 = load <8 x float>, ptr %v.7
  %t.129 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.127, <8 x float> %t.96, <8 x float> %t.128)
  store <8 x float> %t.129, ptr %v.7
  %t.130 = load <8 x float>, ptr %v.8
  %t.131 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.127, <8 x float> %t.98, <8 x float> %t.130)
  store <8 x float> %t.131, ptr %v.8
  %p.132 = getelementptr i8, ptr %p.91, i64 16
  %t.133 = load float, ptr %p.132, align 4
  %t.134 = insertelement <8 x float> poison, float %t.133, i32 0
  %t.135 = shufflevector <8 x float> %t.134, <8 x float> poison, <8 x i32> zeroinitializer
  %t.136 = load <8 x float>, ptr %v.9
  %t.137 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.135, <8 x float> %t.96, <8 x float> %t.136)
  store <8 x float> %t.137, ptr %v.9
  %t.138 = load <8 x float>, ptr %v.10
  %t.139 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.135, <8 x float> %t.98, <8 x float> %t.138)
  store <8 x float> %t.139, ptr %v.10
  %p.140 = getelementptr i8, ptr %p.91, i64 20
  %t.141 = load float, ptr %p.140, align 4
  %t.142 = insertelement <8 x float> poison, float %t.141, i32 0
  %t.143 = shufflevector <8 x float> %t.142, <8 x float> poison, <8 x i32> zeroinitializer
  %t.144 = load <8 x float>, ptr %v.11
  %t.145 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.143, <8 x float> %t.96, <8 x float> %t.144)
  store <8 x float> %t.145, ptr %v.11
  %t.146 = load <8 x float>, ptr %v.12
  %t.147 = call <8 x float> @llvm.fmuladd.v8f32(<8 x float> %t.143, <8 x float> %t.98, <8 x float> %t.146)
  store <8 x float> %t.147, ptr %v.12
  %i.25 = add i64 %i.24, 2
  br label %head.21
done.23:
  %t.148 = icmp ne ptr %start, null
  br i1 %t.148, label %then.149, label %done.150
then.149:
  %p.151 = getelementptr i8, ptr %start, i64 0
  %t.152 = load <8 x float>, ptr %p.151, align 16
  %t.153 = load <8 x float>, ptr %v.1
  %t.154 = fadd <8 x float> %t.152, %t.153
  store <8 x float> %t.154, ptr %v.1
  %p.155 = getelementptr i8, ptr %start, i64 32
  %t.156 = load <8 x float>, ptr %p.155, align 16
  %t.157 = load <8 x float>, ptr %v.2
  %t.158 = fadd <8 x float> %t.156, %t.157
  store <8 x float> %t.158, ptr %v.2
  %p.159 = getelementptr i8, ptr %start, i64 64
  %t.160 = load <8 x float>, ptr %p.159, align 16
  %t.161 = load <8 x float>, ptr %v.3
  %t.162 = fadd <8 x float> %t.160, %t.161
  store <8 x float> %t.162, ptr %v.3
  %p.163 = getelementptr i8, ptr %start, i64 96
  %t.164 = load <8 x float>, ptr %p.163, align 16
  %t.165 = load <8 x float>, ptr %v.4
  %t.166 = fadd <8 x float> %t.164, %t.165
  store <8 x float> %t.166, ptr %v.4
  %p.167 = getelementptr i8, ptr %start, i64 128
  %t.168 = load <8 x float>, ptr %p.167, align 16
  %t.169 = load <8 x float>, ptr %v.5
  %t.170 = fadd <8 x float> %t.168, %t.169
  store <8 x float> %t.170, ptr %v.5
  %p.171 = getelementptr i8, ptr %start, i64 160
  %t.172 = load <8 x float>, ptr %p.171, align 16
  %t.173 = load <8 x float>, ptr %v.6
  %t.174 = fadd <8 x float> %t.172, %t.173
  store <8 x float> %t.174, ptr %v.6
  %p.175 = getelementptr i8, ptr %start, i64 192
  %t.176 = load <8 x float>, ptr %p.175, align 16
  %t.177 = load <8 x float>, ptr %v.7
  %t.178 = fadd <8 x float> %t.176, %t.177
  store <8 x float> %t.178, ptr %v.7
  %p.179 = getelementptr i8, ptr %start, i64 224
  %t.180 = load <8 x float>, ptr %p.179, align 16
  %t.181 = load <8 x float>, ptr %v.8
  %t.182 = fadd <8 x float> %t.180, %t.181
  store <8 x float> %t.182, ptr %v.8
  %p.183 = getelementptr i8, ptr %start, i64 256
  %t.184 = load <8 x float>, ptr %p.183, align 16
  %t.185 = load <8 x float>, ptr %v.9
  %t.186 = fadd <8 x float> %t.184, %t.185
  store <8 x float> %t.186, ptr %v.9
  %p.187 = getelementptr i8, ptr %start, i64 288
  %t.188 = load <8 x float>, ptr %p.187, align 16
  %t.189 = load <8 x float>, ptr %v.10
  %t.190 = fadd <8 x float> %t.188, %t.189
  store <8 x float> %t.190, ptr %v.10
  %p.191 = getelementptr i8, ptr %start, i64 320
  %t.192 = load <8 x float>, ptr %p.191, align 16
  %t.193 = load <8 x float>, ptr %v.11
  %t.194 = fadd <8 x float> %t.192, %t.193
  store <8 x float> %t.194, ptr %v.11
  %p.195 = getelementptr i8, ptr %start, i64 352
  %t.196 = load <8 x float>, ptr %p.195, align 16
  %t.197 = load <8 x float>, ptr %v.12
  %t.198 = fadd <8 x float> %t.196, %t.197
  store <8 x float> %t.198, ptr %v.12
  br label %done.150
done.150:
  %t.199 = load <8 x float>, ptr %v.1
  %p.200 = getelementptr i8, ptr %tile, i64 0
  store <8 x float> %t.199, ptr %p.200, align 16
  %t.201 = load <8 x float>, ptr %v.2
  %p.202 = getelementptr i8, ptr %tile, i64 32
  store <8 x float> %t.201, ptr %p.202, align 16
  %t.203 = load <8 x float>, ptr %v.3
  %p.204 = getelementptr i8, ptr %tile, i64 64
  store <8 x float> %t.203, ptr %p.204, align 16
  %t.205 = load <8 x float>, ptr %v.4
  %p.206 = getelementptr i8, ptr %tile, i64 96
  store <8 x float> %t.205, ptr %p.206, align 16
  %t.207 = load <8 x float>, ptr %v.5
  %p.208 = getelementptr i8, ptr %tile, i64 128
  store <8 x float> %t.207, ptr %p.208, align 16
  %t.209 = load <8 x float>, ptr %v.6
  %p.210 = getelementptr i8, ptr %tile, i64 160
  store <8 x float> %t.209, ptr %p.210, align 16
  %t.211 = load <8 x float>, ptr %v.7
  %p.212 = getelementptr i8, ptr %tile, i64 192
  store <8 x float> %t.211, ptr %p.212, align 16
  %t.213 = load <8 x float>, ptr %v.8
  %p.214 = getelementptr i8, ptr %tile, i64 224
  store <8 x float> %t.213, ptr %p.214, align 16
  %t.215 = load <8 x float>, ptr %v.9
  %p.216 = getelementptr i8, ptr %tile, i64 256
  store <8 x float> %t.215, ptr %p.216, align 16
  %t.217 = load <8 x float>, ptr %v.10
  %p.218 = getelementptr i8, ptr %tile, i64 288
  store <8 x float> %t.217, ptr %p.218, align 16
  %t.219 = load <8 x float>, ptr %v.11
  %p.220 = getelementptr i8, ptr %tile, i64 320
  store <8 x float> %t.219, ptr %p.220, align 16
  %t.221 = load <8 x float>, ptr %v.12
  %p.222 = getelementptr i8, ptr %tile, i64 352
  store <8 x float> %t.221, ptr %p.222, align 16
  ret void
}
