define internal void @micro_8_3(ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step, ptr %next, i64 %pace) noinline {
entry:
  %v.1 = alloca <4 x float>
  %v.2 = alloca <4 x float>
  %v.3 = alloca <4 x float>
  %v.4 = alloca <4 x float>
  %v.5 = alloca <4 x float>
  %v.6 = alloca <4 x float>
  %v.7 = alloca <4 x float>
  %v.8 = alloca <4 x float>
  %v.9 = alloca <4 x float>
  %v.10 = alloca <4 x float>
  %v.11 = alloca <4 x float>
  %v.12 = alloca <4 x float>
  %v.13 = alloca <4 x float>
  %v.14 = alloca <4 x float>
  %v.15 = alloca <4 x float>
  %v.16 = alloca <4 x float>
  %v.17 = alloca <4 x float>
  %v.18 = alloca <4 x float>
  %v.19 = alloca <4 x float>
  %v.20 = alloca <4 x float>
  %v.21 = alloca <4 x float>
  %v.22 = alloca <4 x float>
  %v.23 = alloca <4 x float>
  %v.24 = alloca <4 x float>
  store <4 x float> zeroinitializer, ptr %v.1
  store <4 x float> zeroinitializer, ptr %v.2
  store <4 x float> zeroinitializer, ptr %v.3
  store <4 x float> zeroinitializer, ptr %v.4
  store <4 x float> zeroinitializer, ptr %v.5
  store <4 x float> zeroinitializer, ptr %v.6
  store <4 x float> zeroinitializer, ptr %v.7
  store <4 x float> zeroinitializer, ptr %v.8
  store <4 x float> zeroinitializer, ptr %v.9
  store <4 x float> zeroinitializer, ptr %v.10
  store <4 x float> zeroinitializer, ptr %v.11
  store <4 x float> zeroinitializer, ptr %v.12
  store <4 x float> zeroinitializer, ptr %v.13
  store <4 x float> zeroinitializer, ptr %v.14
  store <4 x float> zeroinitializer, ptr %v.15
  store <4 x float> zeroinitializer, ptr %v.16
  store <4 x float> zeroinitializer, ptr %v.17
  store <4 x float> zeroinitializer, ptr %v.18
  store <4 x float> zeroinitializer, ptr %v.19
  store <4 x float> zeroinitializer, ptr %v.20
  store <4 x float> zeroinitializer, ptr %v.21
  store <4 x float> zeroinitializer, ptr %v.22
  store <4 x float> zeroinitializer, ptr %v.23
  store <4 x float> zeroinitializer, ptr %v.24
  %p.25 = getelementptr i8, ptr %tile, i64 0
  call void @llvm.prefetch.p0(ptr %p.25, i32 0, i32 3, i32 1)
  %p.26 = getelementptr i8, ptr %tile, i64 64
  call void @llvm.prefetch.p0(ptr %p.26, i32 0, i32 3, i32 1)
  %p.27 = getelementptr i8, ptr %tile, i64 128
  call void @llvm.prefetch.p0(ptr %p.27, i32 0, i32 3, i32 1)
  %p.28 = getelementptr i8, ptr %tile, i64 192
  call void @llvm.prefetch.p0(ptr %p.28, i32 0, i32 3, i32 1)
  %p.29 = getelementptr i8, ptr %tile, i64 256
  call void @llvm.prefetch.p0(ptr %p.29, i32 0, i32 3, i32 1)
  %p.30 = getelementptr i8, ptr %tile, i64 320
  call void @llvm.prefetch.p0(ptr %p.30, i32 0, i32 3, i32 1)
  %t.31 = add i64 %depth, 0
  %t.32 = udiv i64 %t.31, 1
  br label %head.33
head.33:
  %i.36 = phi i64 [ 0, %entry ], [ %i.37, %body.34 ]
  %t.38 = icmp slt i64 %i.36, %t.32
  br i1 %t.38, label %body.34, label %done.35
body.34:
  %t.39 = mul i64 %i.36, %pace
  %p.40 = getelementptr i8, ptr %next, i64 %t.39
  %p.41 = getelementptr i8, ptr %p.40, i64 0
  call void @llvm.prefetch.p0(ptr %p.41, i32 0, i32 2, i32 1)
  %t.42 = mul i64 %i.36, 32
  %t.43 = add i64 %t.42, 0
  %p.44 = getelementptr i8, ptr %a, i64 %t.43
  %t.45 = mul i64 %i.36, 48
  %t.46 = add i64 %t.45, 0
  %p.47 = getelementptr i8, ptr %b, i64 %t.46
  %p.48 = getelementptr i8, ptr %p.47, i64 0
  %t.49 = load <4 x float>, ptr %p.48, align 16
  %p.50 = getelementptr i8, ptr %p.47, i64 16
  %t.51 = load <4 x float>, ptr %p.50, align 16
  %p.52 = getelementptr i8, ptr %p.47, i64 32
  %t.53 = load <4 x float>, ptr %p.52, align 16
  %p.54 = getelementptr i8, ptr %p.44, i64 1024
  call void @llvm.prefetch.p0(ptr %p.54, i32 0, i32 3, i32 1)
  %p.55 = getelementptr i8, ptr %p.44, i64 0
  %t.56 = load float, ptr %p.55, align 4
  %t.57 = insertelement <4 x float> poison, float %t.56, i32 0
  %t.58 = shufflevector <4 x float> %t.57, <4 x float> poison, <4 x i32> zeroinitializer
  %t.59 = load <4 x float>, ptr %v.1
  %t.60 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.58, <4 x float> %t.49, <4 x float> %t.59)
  store <4 x float> %t.60, ptr %v.1
  %t.61 = load <4 x float>, ptr %v.2
  %t.62 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.58, <4 x float> %t.51, <4 x float> %t.61)
  store <4 x float> %t.62, ptr %v.2
  %t.63 = load <4 x float>, ptr %v.3
  %t.64 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.58, <4 x float> %t.53, <4 x float> %t.63)
  store <4 x float> %t.64, ptr %v.3
  %p.65 = getelementptr i8, ptr %p.44, i64 4
  %t.66 = load float, ptr %p.65, align 4
  %t.67 = insertelement <4 x float> poison, float %t.66, i32 0
  %t.68 = shufflevector <4 x float> %t.67, <4 x float> poison, <4 x i32> zeroinitializer
  %t.69 = load <4 x float>, ptr %v.4
  %t.70 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.68, <4 x float> %t.49, <4 x float> %t.69)
  store <4 x float> %t.70, ptr %v.4
  %t.71 = load <4 x float>, ptr %v.5
  %t.72 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.68, <4 x float> %t.51, <4 x float> %t.71)
  store <4 x float> %t.72, ptr %v.5
  %t.73 = load <4 x float>, ptr %v.6
  %t.74 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.68, <4 x float> %t.53, <4 x float> %t.73)
  store <4 x float> %t.74, ptr %v.6
  %p.75 = getelementptr i8, ptr %p.44, i64 8
  %t.76 = load float, ptr %p.75, align 4
  %t.77 = insertelement <4 x float> poison, float %t.76, i32 0
  %t.78 = shufflevector <4 x float> %t.77, <4 x float> poison, <4 x i32> zeroinitializer
  %t.79 = load <4 x float>, ptr %v.7
  %t.80 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.78, <4 x float> %t.49, <4 x float> %t.79)
  store <4 x float> %t.80, ptr %v.7
  %t.81 = load <4 x float>, ptr %v.8
  %t.82 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.78, <4 x float> %t.51, <4 x float> %t.81)
  store <4 x float> %t.82, ptr %v.8
  %t.83 = load <4 x float>, ptr %v.9
  %t.84 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.78, <4 x float> %t.53, <4 x float> %t.83)
  store <4 x float> %t.84, ptr %v.9
  %p.85 = getelementptr i8, ptr %p.44, i64 12
  %t.86 = load float, ptr %p.85, align 4
  %t.87 = insertelement <4 x float> poison, float %t.86, i32 0
  %t.88 = shufflevector <4 x float> %t.87, <4 x float> poison, <4 x i32> zeroinitializer
  %t.89 = load <4 x float>, ptr %v.10
  %t.90 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.88, <4 x float> %t.49, <4 x float> %t.89)
  store <4 x float> %t.90, ptr %v.10
  %t.91 = load <4 x float>, ptr %v.11
  %t.92 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.88, <4 x float> %t.51, <4 x float> %t.91)
  store <4 x float> %t.92, ptr %v.11
  %t.93 = load <4 x float>, ptr %v.12
  %t.94 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.88, <4 x float> %t.53, <4 x float> %t.93)
  store <4 x float> %t.94, ptr %v.12
  %p.95 = getelementptr i8, ptr %p.44, i64 16
  %t.96 = load float, ptr %p.95, align 4
  %t.97 = insertelement <4 x float> poison, float %t.96, i32 0
  %t.98 = shufflevector <4 x float> %t.97, <4 x float> poison, <4 x i32> zeroinitializer
  %t.99 = load <4 x float>, ptr %v.13
  %t.100 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.98, <4 x float> %t.49, <4 x float> %t.99)
  store <4 x float> %t.100, ptr %v.13
  %t.101 = load <4 x float>, ptr %v.14
  %t.102 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.98, <4 x float> %t.51, <4 x float> %t.101)
  store <4 x float> %t.102, ptr %v.14
  %t.103 = load <4 x float>, ptr %v.15
  %t.104 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.98, <4 x float> %t.53, <4 x float> %t.103)
  store <4 x float> %t.104, ptr %v.15
  %p.105 = getelementptr i8, ptr %p.44, i64 20
  %t.106 = load float, ptr %p.105, align 4
  %t.107 = insertelement <4 x float> poison, float %t.106, i32 0
  %t.108 = shufflevector <4 x float> %t.107, <4 x float> poison, <4 x i32> zeroinitializer
  %t.109 = load <4 x float>, ptr %v.16
  %t.110 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.108, <4 x float> %t.49, <4 x float> %t.109)
  store <4 x float> %t.110, ptr %v.16
  %t.111 = load <4 x float>, ptr %v.17
  %t.112 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.108, <4 x float> %t.51, <4 x float> %t.111)
  store <4 x float> %t.112, ptr %v.17
  %t.113 = load <4 x float>, ptr %v.18
  %t.114 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.108, <4 x float> %t.53, <4 x float> %t.113)
  store <4 x float> %t.114, ptr %v.18
  %p.115 = getelementptr i8, ptr %p.44, i64 24
  %t.116 = load float, ptr %p.115, align 4
  %t.117 = insertelement <4 x float> poison, float %t.116, i32 0
  %t.118 = shufflevector <4 x float> %t.117, <4 x float> poison, <4 x i32> zeroinitializer
  %t.119 = load <4 x float>, ptr %v.19
  %t.120 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.118, <4 x float> %t.49, <4 x float> %t.119)
  store <4 x float> %t.120, ptr %v.19
  %t.121 = load <4 x float>, ptr %v.20
  %t.122 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.118, <4 x float> %t.51, <4 x float> %t.121)
  store <4 x float> %t.122, ptr %v.20
  %t.123 = load <4 x float>, ptr %v.21
  %t.124 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.118, <4 x float> %t.53, <4 x float> %t.123)
  store <4 x float> %t.124, ptr %v.21
  %p.125 = getelementptr i8, ptr %p.44, i64 28
  %t.126 = load float, ptr %p.125, align 4
  %t.127 = insertelement <4 x float> poison, float %t.126, i32 0
  %t.128 = shufflevector <4 x float> %t.127, <4 x float> poison, <4 x i32> zeroinitializer
  %t.129 = load <4 x float>, ptr %v.22
  %t.130 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.128, <4 x float> %t.49, <4 x float> %t.129)
  store <4 x float> %t.130, ptr %v.22
  %t.131 = load <4 x float>, ptr %v.23
  %t.132 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.128, <4 x float> %t.51, <4 x float> %t.131)
  store <4 x float> %t.132, ptr %v.23
  %t.133 = load <4 x float>, ptr %v.24
  %t.134 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.128, <4 x float> %t.53, <4 x float> %t.133)
  store <4 x float> %t.134, ptr %v.24
  %t.135 = mul i64 %i.36, 32
  %t.136 = add i64 %t.135, 32
  %p.137 = getelementptr i8, ptr %a, i64 %t.136
  %t.138 = mul i64 %i.36, 48
  %t.139 = add i64 %t.138, 48
  %p.140 = getelementptr i8, ptr %b, i64 %t.139
  %p.141 = getelementptr i8, ptr %p.140, i64 0
  %t.142 = load <4 x float>, ptr %p.141, align 16
  %p.143 = getelementptr i8, ptr %p.140, i64 16
  %t.144 = load <4 x float>, ptr %p.143, align 16
  %p.145 = getelementptr i8, ptr %p.140, i64 32
  %t.146 = load <4 x float>, ptr %p.145, align 16
  %p.147 = getelementptr i8, ptr %p.137, i64 1024
  call void @llvm.prefetch.p0(ptr %p.147, i32 0, i32 3, i32 1)
  %p.148 = getelementptr i8, ptr %p.137, i64 0
  %t.149 = load float, ptr %p.148, align 4
  %t.150 = insertelement <4 x float> poison, float %t.149, i32 0
  %t.151 = shufflevector <4 x float> %t.150, <4 x float> poison, <4 x i32> zeroinitializer
  %t.152 = load <4 x float>, ptr %v.1
  %t.153 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.151, <4 x float> %t.142, <4 x float> %t.152)
  store <4 x float> %t.153, ptr %v.1
  %t.154 = load <4 x float>, ptr %v.2
  %t.155 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.151, <4 x float> %t.144, <4 x float> %t.154)
  store <4 x float> %t.155, ptr %v.2
  %t.156 = load <4 x float>, ptr %v.3
  %t.157 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.151, <4 x float> %t.146, <4 x float> %t.156)
  store <4 x float> %t.157, ptr %v.3
  %p.158 = getelementptr i8, ptr %p.137, i64 4
  %t.159 = load float, ptr %p.158, align 4
  %t.160 = insertelement <4 x float> poison, float %t.159, i32 0
  %t.161 = shufflevector <4 x float> %t.160, <4 x float> poison, <4 x i32> zeroinitializer
  %t.162 = load <4 x float>, ptr %v.4
  %t.163 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.161, <4 x float> %t.142, <4 x float> %t.162)
  store <4 x float> %t.163, ptr %v.4
  %t.164 = load <4 x float>, ptr %v.5
  %t.165 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.161, <4 x float> %t.144, <4 x float> %t.164)
  store <4 x float> %t.165, ptr %v.5
  %t.166 = load <4 x float>, ptr %v.6
  %t.167 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.161, <4 x float> %t.146, <4 x float> %t.166)
  store <4 x float> %t.167, ptr %v.6
  %p.168 = getelementptr i8, ptr %p.137, i64 8
  %t.169 = load float, ptr %p.168, align 4
  %t.170 = insertelement <4 x float> poison, float %t.169, i32 0
  %t.171 = shufflevector <4 x float> %t.170, <4 x float> poison, <4 x i32> zeroinitializer
  %t.172 = load <4 x float>, ptr %v.7
  %t.173 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.171, <4 x float> %t.142, <4 x float> %t.172)
  store <4 x float> %t.173, ptr %v.7
  %t.174 = load <4 x float>, ptr %v.8
  %t.175 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.171, <4 x float> %t.144, <4 x float> %t.174)
  store <4 x float> %t.175, ptr %v.8
  %t.176 = load <4 x float>, ptr %v.9
  %t.177 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.171, <4 x float> %t.146, <4 x float> %t.176)
  store <4 x float> %t.177, ptr %v.9
  %p.178 = getelementptr i8, ptr %p.137, i64 12
  %t.179 = load float, ptr %p.178, align 4
  %t.180 = insertelement <4 x float> poison, float %t.179, i32 0
  %t.181 = shufflevector <4 x float> %t.180, <4 x float> poison, <4 x i32> zeroinitializer
  %t.182 = load <4 x float>, ptr %v.10
  %t.183 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.181, <4 x float> %t.142, <4 x float> %t.182)
  store <4 x float> %t.183, ptr %v.10
  %t.184 = load <4 x float>, ptr %v.11
  %t.185 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.181, <4 x float> %t.144, <4 x float> %t.184)
  store <4 x float> %t.185, ptr %v.11
  %t.186 = load <4 x float>, ptr %v.12
  %t.187 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.181, <4 x float> %t.146, <4 x float> %t.186)
  store <4 x float> %t.187, ptr %v.12
  %p.188 = getelementptr i8, ptr %p.137, i64 16
  %t.189 = load float, ptr %p.188, align 4
  %t.190 = insertelement <4 x float> poison, float %t.189, i32 0
  %t.191 = shufflevector <4 x float> %t.190, <4 x float> poison, <4 x i32> zeroinitializer
  %t.192 = load <4 x float>, ptr %v.13
  %t.193 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.191, <4 x float> %t.142, <4 x float> %t.192)
  store <4 x float> %t.193, ptr %v.13
  %t.194 = load <4 x float>, ptr %v.14
  %t.195 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.191, <4 x float> %t.144, <4 x float> %t.194)
  store <4 x float> %t.195, ptr %v.14
  %t.196 = load <4 x float>, ptr %v.15
  %t.197 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.191, <4 x float> %t.146, <4 x float> %t.196)
  store <4 x float> %t.197, ptr %v.15
  %p.198 = getelementptr i8, ptr %p.137, i64 20
  %t.199 = load float, ptr %p.198, align 4
  %t.200 = insertelement <4 x float> poison, float %t.199, i32 0
  %t.201 = shufflevector <4 x float> %t.200, <4 x float> poison, <4 x i32> zeroinitializer
  %t.202 = load <4 x float>, ptr %v.16
  %t.203 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.201, <4 x float> %t.142, <4 x float> %t.202)
  store <4 x float> %t.203, ptr %v.16
  %t.204 = load <4 x float>, ptr %v.17
  %t.205 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.201, <4 x float> %t.144, <4 x float> %t.204)
  store <4 x float> %t.205, ptr %v.17
  %t.206 = load <4 x float>, ptr %v.18
  %t.207 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.201, <4 x float> %t.146, <4 x float> %t.206)
  store <4 x float> %t.207, ptr %v.18
  %p.208 = getelementptr i8, ptr %p.137, i64 24
  %t.209 = load float, ptr %p.208, align 4
  %t.210 = insertelement <4 x float> poison, float %t.209, i32 0
  %t.211 = shufflevector <4 x float> %t.210, <4 x float> poison, <4 x i32> zeroinitializer
  %t.212 = load <4 x float>, ptr %v.19
  %t.213 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.211, <4 x float> %t.142, <4 x float> %t.212)
  store <4 x float> %t.213, ptr %v.19
  %t.214 = load <4 x float>, ptr %v.20
  %t.215 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.211, <4 x float> %t.144, <4 x float> %t.214)
  store <4 x float> %t.215, ptr %v.20
  %t.216 = load <4 x float>, ptr %v.21
  %t.217 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.211, <4 x float> %t.146, <4 x float> %t.216)
  store <4 x float> %t.217, ptr %v.21
  %p.218 = getelementptr i8, ptr %p.137, i64 28
  %t.219 = load float, ptr %p.218, align 4
  %t.220 = insertelement <4 x float> poison, float %t.219, i32 0
  %t.221 = shufflevector <4 x float> %t.220, <4 x float> poison, <4 x i32> zeroinitializer
  %t.222 = load <4 x float>, ptr %v.22
  %t.223 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.221, <4 x float> %t.142, <4 x float> %t.222)
  store <4 x float> %t.223, ptr %v.22
  %t.224 = load <4 x float>, ptr %v.23
  %t.225 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.221, <4 x float> %t.144, <4 x float> %t.224)
  store <4 x float> %t.225, ptr %v.23
  %t.226 = load <4 x float>, ptr %v.24
  %t.227 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.221, <4 x float> %t.146, <4 x float> %t.226)
  store <4 x float> %t.227, ptr %v.24
  %i.37 = add i64 %i.36, 2
  br label %head.33
done.35:
  %t.228 = icmp ne ptr %start, null
  br i1 %t.228, label %then.229, label %done.230
then.229:
  %p.231 = getelementptr i8, ptr %start, i64 0
  %t.232 = load <4 x float>, ptr %p.231, align 16
  %t.233 = load <4 x float>, ptr %v.1
  %t.234 = fadd <4 x float> %t.232, %t.233
  store <4 x float> %t.234, ptr %v.1
  %p.235 = getelementptr i8, ptr %start, i64 16
  %t.236 = load <4 x float>, ptr %p.235, align 16
  %t.237 = load <4 x float>, ptr %v.2
  %t.238 = fadd <4 x float> %t.236, %t.237
  store <4 x float> %t.238, ptr %v.2
  %p.239 = getelementptr i8, ptr %start, i64 32
  %t.240 = load <4 x float>, ptr %p.239, align 16
  %t.241 = load <4 x float>, ptr %v.3
  %t.242 = fadd <4 x float> %t.240, %t.241
  store <4 x float> %t.242, ptr %v.3
  %p.243 = getelementptr i8, ptr %start, i64 48
  %t.244 = load <4 x float>, ptr %p.243, align 16
  %t.245 = load <4 x float>, ptr %v.4
  %t.246 = fadd <4 x float> %t.244, %t.245
  store <4 x float> %t.246, ptr %v.4
  %p.247 = getelementptr i8, ptr %start, i64 64
  %t.248 = load <4 x float>, ptr %p.247, align 16
  %t.249 = load <4 x float>, ptr %v.5
  %t.250 = fadd <4 x float> %t.248, %t.249
  store <4 x float> %t.250, ptr %v.5
  %p.251 = getelementptr i8, ptr %start, i64 80
  %t.252 = load <4 x float>, ptr %p.251, align 16
  %t.253 = load <4 x float>, ptr %v.6
  %t.254 = fadd <4 x float> %t.252, %t.253
  store <4 x float> %t.254, ptr %v.6
  %p.255 = getelementptr i8, ptr %start, i64 96
  %t.256 = load <4 x float>, ptr %p.255, align 16
  %t.257 = load <4 x float>, ptr %v.7
  %t.258 = fadd <4 x float> %t.256, %t.257
  store <4 x float> %t.258, ptr %v.7
  %p.259 = getelementptr i8, ptr %start, i64 112
  %t.260 = load <4 x float>, ptr %p.259, align 16
  %t.261 = load <4 x float>, ptr %v.8
  %t.262 = fadd <4 x float> %t.260, %t.261
  store <4 x float> %t.262, ptr %v.8
  %p.263 = getelementptr i8, ptr %start, i64 128
  %t.264 = load <4 x float>, ptr %p.263, align 16
  %t.265 = load <4 x float>, ptr %v.9
  %t.266 = fadd <4 x float> %t.264, %t.265
  store <4 x float> %t.266, ptr %v.9
  %p.267 = getelementptr i8, ptr %start, i64 144
  %t.268 = load <4 x float>, ptr %p.267, align 16
  %t.269 = load <4 x float>, ptr %v.10
  %t.270 = fadd <4 x float> %t.268, %t.269
  store <4 x float> %t.270, ptr %v.10
  %p.271 = getelementptr i8, ptr %start, i64 160
  %t.272 = load <4 x float>, ptr %p.271, align 16
  %t.273 = load <4 x float>, ptr %v.11
  %t.274 = fadd <4 x float> %t.272, %t.273
  store <4 x float> %t.274, ptr %v.11
  %p.275 = getelementptr i8, ptr %start, i64 176
  %t.276 = load <4 x float>, ptr %p.275, align 16
  %t.277 = load <4 x float>, ptr %v.12
  %t.278 = fadd <4 x float> %t.276, %t.277
  store <4 x float> %t.278, ptr %v.12
  %p.279 = getelementptr i8, ptr %start, i64 192
  %t.280 = load <4 x float>, ptr %p.279, align 16
  %t.281 = load <4 x float>, ptr %v.13
  %t.282 = fadd <4 x float> %t.280, %t.281
  store <4 x float> %t.282, ptr %v.13
  %p.283 = getelementptr i8, ptr %start, i64 208
  %t.284 = load <4 x float>, ptr %p.283, align 16
  %t.285 = load <4 x float>, ptr %v.14
  %t.286 = fadd <4 x float> %t.284, %t.285
  store <4 x float> %t.286, ptr %v.14
  %p.287 = getelementptr i8, ptr %start, i64 224
  %t.288 = load <4 x float>, ptr %p.287, align 16
  %t.289 = load <4 x float>, ptr %v.15
  %t.290 = fadd <4 x float> %t.288, %t.289
  store <4 x float> %t.290, ptr %v.15
  %p.291 = getelementptr i8, ptr %start, i64 240
  %t.292 = load <4 x float>, ptr %p.291, align 16
  %t.293 = load <4 x float>, ptr %v.16
  %t.294 = fadd <4 x float> %t.292, %t.293
  store <4 x float> %t.294, ptr %v.16
  %p.295 = getelementptr i8, ptr %start, i64 256
  %t.296 = load <4 x float>, ptr %p.295, align 16
  %t.297 = load <4 x float>, ptr %v.17
  %t.298 = fadd <4 x float> %t.296, %t.297
  store <4 x float> %t.298, ptr %v.17
  %p.299 = getelementptr i8, ptr %start, i64 272
  %t.300 = load <4 x float>, ptr %p.299, align 16
  %t.301 = load <4 x float>, ptr %v.18
  %t.302 = fadd <4 x float> %t.300, %t.301
  store <4 x float> %t.302, ptr %v.18
  %p.303 = getelementptr i8, ptr %start, i64 288
  %t.304 = load <4 x float>, ptr %p.303, align 16
  %t.305 = load <4 x float>, ptr %v.19
  %t.306 = fadd <4 x float> %t.304, %t.305
  store <4 x float> %t.306, ptr %v.19
  %p.307 = getelementptr i8, ptr %start, i64 304
  %t.308 = load <4 x float>, ptr %p.307, align 16
  %t.309 = load <4 x float>, ptr %v.20
  %t.310 = fadd <4 x float> %t.308, %t.309
  store <4 x float> %t.310, ptr %v.20
  %p.311 = getelementptr i8, ptr %start, i64 320
  %t.312 = load <4 x float>, ptr %p.311, align 16
  %t.313 = load <4 x float>, ptr %v.21
  %t.314 = fadd <4 x float> %t.312, %t.313
  store <4 x float> %t.314, ptr %v.21
  %p.315 = getelementptr i8, ptr %start, i64 336
  %t.316 = load <4 x float>, ptr %p.315, align 16
  %t.317 = load <4 x float>, ptr %v.22
  %t.318 = fadd <4 x float> %t.316, %t.317
  store <4 x float> %t.318, ptr %v.22
  %p.319 = getelementptr i8, ptr %start, i64 352
  %t.320 = load <4 x float>, ptr %p.319, align 16
  %t.321 = load <4 x float>, ptr %v.23
  %t.322 = fadd <4 x float> %t.320, %t.321
  store <4 x float> %t.322, ptr %v.23
  %p.323 = getelementptr i8, ptr %start, i64 368
  %t.324 = load <4 x float>, ptr %p.323, align 16
  %t.325 = load <4 x float>, ptr %v.24
  %t.326 = fadd <4 x float> %t.324, %t.325
  store <4 x float> %t.326, ptr %v.24
  br label %done.230
done.230:
  %t.327 = load <4 x float>, ptr %v.1
  %p.328 = getelementptr i8, ptr %tile, i64 0
  store <4 x float> %t.327, ptr %p.328, align 16
  %t.329 = load <4 x float>, ptr %v.2
  %p.330 = getelementptr i8, ptr %tile, i64 16
  store <4 x float> %t.329, ptr %p.330, align 16
  %t.331 = load <4 x float>, ptr %v.3
  %p.332 = getelementptr i8, ptr %tile, i64 32
  store <4 x float> %t.331, ptr %p.332, align 16
  %t.333 = load <4 x float>, ptr %v.4
  %p.334 = getelementptr i8, ptr %tile, i64 48
  store <4 x float> %t.333, ptr %p.334, align 16
  %t.335 = load <4 x float>, ptr %v.5
  %p.336 = getelementptr i8, ptr %tile, i64 64
  store <4 x float> %t.335, ptr %p.336, align 16
  %t.337 = load <4 x float>, ptr %v.6
  %p.338 = getelementptr i8, ptr %tile, i64 80
  store <4 x float> %t.337, ptr %p.338, align 16
  %t.339 = load <4 x float>, ptr %v.7
  %p.340 = getelementptr i8, ptr %tile, i64 96
  store <4 x float> %t.339, ptr %p.340, align 16
  %t.341 = load <4 x float>, ptr %v.8
  %p.342 = getelementptr i8, ptr %tile, i64 112
  store <4 x float> %t.341, ptr %p.342, align 16
  %t.343 = load <4 x float>, ptr %v.9
  %p.344 = getelementptr i8, ptr %tile, i64 128
  store <4 x float> %t.343, ptr %p.344, align 16
  %t.345 = load <4 x float>, ptr %v.10
  %p.346 = getelementptr i8, ptr %tile, i64 144
  store <4 x float> %t.345, ptr %p.346, align 16
  %t.347 = load <4 x float>, ptr %v.11
  %p.348 = getelementptr i8, ptr %tile, i64 160
  store <4 x float> %t.347, ptr %p.348, align 16
  %t.349 = load <4 x float>, ptr %v.12
  %p.350 = getelementptr i8, ptr %tile, i64 176
  store <4 x float> %t.349, ptr %p.350, align 16
  %t.351 = load <4 x float>, ptr %v.13
  %p.352 = getelementptr i8, ptr %tile, i64 192
  store <4 x float> %t.351, ptr %p.352, align 16
  %t.353 = load <4 x float>, ptr %v.14
  %p.354 = getelementptr i8, ptr %tile, i64 208
  store <4 x float> %t.353, ptr %p.354, align 16
  %t.355 = load <4 x float>, ptr %v.15
  %p.356 = getelementptr i8, ptr %tile, i64 224
  store <4 x float> %t.355, ptr %p.356, align 16
  %t.357 = load <4 x float>, ptr %v.16
  %p.358 = getelementptr i8, ptr %tile, i64 240
  store <4 x float> %t.357, ptr %p.358, align 16
  %t.359 = load <4 x float>, ptr %v.17
  %p.360 = getelementptr i8, ptr %tile, i64 256
  store <4 x float> %t.359, ptr %p.360, align 16
  %t.361 = load <4 x float>, ptr %v.18
  %p.362 = getelementptr i8, ptr %tile, i64 272
  store <4 x float> %t.361, ptr %p.362, align 16
  %t.363 = load <4 x float>, ptr %v.19
  %p.364 = getelementptr i8, ptr %tile, i64 288
  store <4 x float> %t.363, ptr %p.364, align 16
  %t.365 = load <4 x float>, ptr %v.20
  %p.366 = getelementptr i8, ptr %tile, i64 304
  store <4 x float> %t.365, ptr %p.366, align 16
  %t.367 = load <4 x float>, ptr %v.21
  %p.368 = getelementptr i8, ptr %tile, i64 320
  store <4 x float> %t.367, ptr %p.368, align 16
  %t.369 = load <4 x float>, ptr %v.22
  %p.370 = getelementptr i8, ptr %tile, i64 336
  store <4 x float> %t.369, ptr %p.370, align 16
  %t.371 = load <4 x float>, ptr %v.23
  %p.372 = getelementptr i8, ptr %tile, i64 352
  store <4 x float> %t.371, ptr %p.372, align 16
  %t.373 = load <4 x float>, ptr %v.24
  %p.374 = getelementptr i8, ptr %tile, i64 368
  store <4 x float> %t.373, ptr %p.374, align 16
  ret void
}
