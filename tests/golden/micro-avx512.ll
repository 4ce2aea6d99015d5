define internal void @micro_14_2(ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step, ptr %next, i64 %pace) noinline {
entry:
  %v.1 = alloca <16 x float>
  %v.2 = alloca <16 x float>
  %v.3 = alloca <16 x float>
  %v.4 = alloca <16 x float>
  %v.5 = alloca <16 x float>
  %v.6 = alloca <16 x float>
  %v.7 = alloca <16 x float>
  %v.8 = alloca <16 x float>
  %v.9 = alloca <16 x float>
  %v.10 = alloca <16 x float>
  %v.11 = alloca <16 x float>
  %v.12 = alloca <16 x float>
  %v.13 = alloca <16 x float>
  %v.14 = alloca <16 x float>
  %v.15 = alloca <16 x float>
  %v.16 = alloca <16 x float>
  %v.17 = alloca <16 x float>
  %v.18 = alloca <16 x float>
  %v.19 = alloca <16 x float>
  %v.20 = alloca <16 x float>
  %v.21 = alloca <16 x float>
  %v.22 = alloca <16 x float>
  %v.23 = alloca <16 x float>
  %v.24 = alloca <16 x float>
  %v.25 = alloca <16 x float>
  %v.26 = alloca <16 x float>
  %v.27 = alloca <16 x float>
  %v.28 = alloca <16 x float>
  store <16 x float> zeroinitializer, ptr %v.1
  store <16 x float> zeroinitializer, ptr %v.2
  store <16 x float> zeroinitializer, ptr %v.3
  store <16 x float> zeroinitializer, ptr %v.4
  store <16 x float> zeroinitializer, ptr %v.5
  store <16 x float> zeroinitializer, ptr %v.6
  store <16 x float> zeroinitializer, ptr %v.7
  store <16 x float> zeroinitializer, ptr %v.8
  store <16 x float> zeroinitializer, ptr %v.9
  store <16 x float> zeroinitializer, ptr %v.10
  store <16 x float> zeroinitializer, ptr %v.11
  store <16 x float> zeroinitializer, ptr %v.12
  store <16 x float> zeroinitializer, ptr %v.13
  store <16 x float> zeroinitializer, ptr %v.14
  store <16 x float> zeroinitializer, ptr %v.15
  store <16 x float> zeroinitializer, ptr %v.16
  store <16 x float> zeroinitializer, ptr %v.17
  store <16 x float> zeroinitializer, ptr %v.18
  store <16 x float> zeroinitializer, ptr %v.19
  store <16 x float> zeroinitializer, ptr %v.20
  store <16 x float> zeroinitializer, ptr %v.21
  store <16 x float> zeroinitializer, ptr %v.22
  store <16 x float> zeroinitializer, ptr %v.23
  store <16 x float> zeroinitializer, ptr %v.24
  store <16 x float> zeroinitializer, ptr %v.25
  store <16 x float> zeroinitializer, ptr %v.26
  store <16 x float> zeroinitializer, ptr %v.27
  store <16 x float> zeroinitializer, ptr %v.28
  %p.29 = getelementptr i8, ptr %tile, i64 0
  call void @llvm.prefetch.p0(ptr %p.29, i32 0, i32 3, i32 1)
  %p.30 = getelementptr i8, ptr %tile, i64 64
  call void @llvm.prefetch.p0(ptr %p.30, i32 0, i32 3, i32 1)
  %p.31 = getelementptr i8, ptr %tile, i64 128
  call void @llvm.prefetch.p0(ptr %p.31, i32 0, i32 3, i32 1)
  %p.32 = getelementptr i8, ptr %tile, i64 192
  call void @llvm.prefetch.p0(ptr %p.32, i32 0, i32 3, i32 1)
  %p.33 = getelementptr i8, ptr %tile, i64 256
  call void @llvm.prefetch.p0(ptr %p.33, i32 0, i32 3, i32 1)
  %p.34 = getelementptr i8, ptr %tile, i64 320
  call void @llvm.prefetch.p0(ptr %p.34, i32 0, i32 3, i32 1)
  %p.35 = getelementptr i8, ptr %tile, i64 384
  call void @llvm.prefetch.p0(ptr %p.35, i32 0, i32 3, i32 1)
  %p.36 = getelementptr i8, ptr %tile, i64 448
  call void @llvm.prefetch.p0(ptr %p.36, i32 0, i32 3, i32 1)
  %p.37 = getelementptr i8, ptr %tile, i64 512
  call void @llvm.prefetch.p0(ptr %p.37, i32 0, i32 3, i32 1)
  %p.38 = getelementptr i8, ptr %tile, i64 576
  call void @llvm.prefetch.p0(ptr %p.38, i32 0, i32 3, i32 1)
  %p.39 = getelementptr i8, ptr %tile, i64 640
  call void @llvm.prefetch.p0(ptr %p.39, i32 0, i32 3, i32 1)
  %p.40 = getelementptr i8, ptr %tile, i64 704
  call void @llvm.prefetch.p0(ptr %p.40, i32 0, i32 3, i32 1)
  %p.41 = getelementptr i8, ptr %tile, i64 768
  call void @llvm.prefetch.p0(ptr %p.41, i32 0, i32 3, i32 1)
  %p.42 = getelementptr i8, ptr %tile, i64 832
  call void @llvm.prefetch.p0(ptr %p.42, i32 0, i32 3, i32 1)
  %p.43 = getelementptr i8, ptr %tile, i64 896
  call void @llvm.prefetch.p0(ptr %p.43, i32 0, i32 3, i32 1)
  %p.44 = getelementptr i8, ptr %tile, i64 960
  call void @llvm.prefetch.p0(ptr %p.44, i32 0, i32 3, i32 1)
  %p.45 = getelementptr i8, ptr %tile, i64 1024
  call void @llvm.prefetch.p0(ptr %p.45, i32 0, i32 3, i32 1)
  %p.46 = getelementptr i8, ptr %tile, i64 1088
  call void @llvm.prefetch.p0(ptr %p.46, i32 0, i32 3, i32 1)
  %p.47 = getelementptr i8, ptr %tile, i64 1152
  call void @llvm.prefetch.p0(ptr %p.47, i32 0, i32 3, i32 1)
  %p.48 = getelementptr i8, ptr %tile, i64 1216
  call void @llvm.prefetch.p0(ptr %p.48, i32 0, i32 3, i32 1)
  %p.49 = getelementptr i8, ptr %tile, i64 1280
  call void @llvm.prefetch.p0(ptr %p.49, i32 0, i32 3, i32 1)
  %p.50 = getelementptr i8, ptr %tile, i64 1344
  call void @llvm.prefetch.p0(ptr %p.50, i32 0, i32 3, i32 1)
  %p.51 = getelementptr i8, ptr %tile, i64 1408
  call void @llvm.prefetch.p0(ptr %p.51, i32 0, i32 3, i32 1)
  %p.52 = getelementptr i8, ptr %tile, i64 1472
  call void @llvm.prefetch.p0(ptr %p.52, i32 0, i32 3, i32 1)
  %p.53 = getelementptr i8, ptr %tile, i64 1536
  call void @llvm.prefetch.p0(ptr %p.53, i32 0, i32 3, i32 1)
  %p.54 = getelementptr i8, ptr %tile, i64 1600
  call void @llvm.prefetch.p0(ptr %p.54, i32 0, i32 3, i32 1)
  %p.55 = getelementptr i8, ptr %tile, i64 1664
  call void @llvm.prefetch.p0(ptr %p.55, i32 0, i32 3, i32 1)
  %p.56 = getelementptr i8, ptr %tile, i64 1728
  call void @llvm.prefetch.p0(ptr %p.56, i32 0, i32 3, i32 1)
  %t.57 = add i64 %depth, 0
  %t.58 = udiv i64 %t.57, 1
  br label %head.59
head.59:
  %i.62 = phi i64 [ 0, %entry ], [ %i.63, %body.60 ]
  %t.64 = icmp slt i64 %i.62, %t.58
  br i1 %t.64, label %body.60, label %done.61
body.60:
  %t.65 = mul i64 %i.62, %pace
  %p.66 = getelementptr i8, ptr %next, i64 %t.65
  %p.67 = getelementptr i8, ptr %p.66, i64 0
  call void @llvm.prefetch.p0(ptr %p.67, i32 0, i32 2, i32 1)
  %t.68 = mul i64 %i.62, 56
  %t.69 = add i64 %t.68, 0
  %p.70 = getelementptr i8, ptr %a, i64 %t.69
  %t.71 = mul i64 %i.62, 128
  %t.72 = add i64 %t.71, 0
  %p.73 = getelementptr i8, ptr %b, i64 %t.72
  %p.74 = getelementptr i8, ptr %p.73, i64 0
  %t.75 = load <16 x float>, ptr %p.74, align 16
  %p.76 = getelementptr i8, ptr %p.73, i64 64
  %t.77 = load <16 x float>, ptr %p.76, align 16
  %p.78 = getelementptr i8, ptr %p.70, i64 1792
  call void @llvm.prefetch.p0(ptr %p.78, i32 0, i32 3, i32 1)
  %p.79 = getelementptr i8, ptr %p.70, i64 0
  %t.80 = load float, ptr %p.79, align 4
  %t.81 = insertelement <16 x float> poison, float %t.80, i32 0
  %t.82 = shufflevector <16 x float> %t.81, <16 x float> poison, <16 x i32> zeroinitializer
  %t.83 = load <16 x float>, ptr %v.1
  %t.84 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.82, <16 x float> %t.75, <16 x float> %t.83)
  store <16 x float> %t.84, ptr %v.1
  %t.85 = load <16 x float>, ptr %v.2
  %t.86 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.82, <16 x float> %t.77, <16 x float> %t.85)
  store <16 x float> %t.86, ptr %v.2
  %p.87 = getelementptr i8, ptr %p.70, i64 4
  %t.88 = load float, ptr %p.87, align 4
  %t.89 = insertelement <16 x float> poison, float %t.88, i32 0
  %t.90 = shufflevector <16 x float> %t.89, <16 x float> poison, <16 x i32> zeroinitializer
  %t.91 = load <16 x float>, ptr %v.3
  %t.92 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.90, <16 x float> %t.75, <16 x float> %t.91)
  store <16 x float> %t.92, ptr %v.3
  %t.93 = load <16 x float>, ptr %v.4
  %t.94 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.90, <16 x float> %t.77, <16 x float> %t.93)
  store <16 x float> %t.94, ptr %v.4
  %p.95 = getelementptr i8, ptr %p.70, i64 8
  %t.96 = load float, ptr %p.95, align 4
  %t.97 = insertelement <16 x float> poison, float %t.96, i32 0
  %t.98 = shufflevector <16 x float> %t.97, <16 x float> poison, <16 x i32> zeroinitializer
  %t.99 = load <16 x float>, ptr %v.5
  %t.100 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.98, <16 x float> %t.75, <16 x float> %t.99)
  store <16 x float> %t.100, ptr %v.5
  %t.101 = load <16 x float>, ptr %v.6
  %t.102 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.98, <16 x float> %t.77, <16 x float> %t.101)
  store <16 x float> %t.102, ptr %v.6
  %p.103 = getelementptr i8, ptr %p.70, i64 12
  %t.104 = load float, ptr %p.103, align 4
  %t.105 = insertelement <16 x float> poison, float %t.104, i32 0
  %t.106 = shufflevector <16 x float> %t.105, <16 x float> poison, <16 x i32> zeroinitializer
  %t.107 = load <16 x float>, ptr %v.7
  %t.108 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.106, <16 x float> %t.75, <16 x float> %t.107)
  store <16 x float> %t.108, ptr %v.7
  %t.109 = load <16 x float>, ptr %v.8
  %t.110 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.106, <16 x float> %t.77, <16 x float> %t.109)
  store <16 x float> %t.110, ptr %v.8
  %p.111 = getelementptr i8, ptr %p.70, i64 16
  %t.112 = load float, ptr %p.111, align 4
  %t.113 = insertelement <16 x float> poison, float %t.112, i32 0
  %t.114 = shufflevector <16 x float> %t.113, <16 x float> poison, <16 x i32> zeroinitializer
  %t.115 = load <16 x float>, ptr %v.9
  %t.116 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.114, <16 x float> %t.75, <16 x float> %t.115)
  store <16 x float> %t.116, ptr %v.9
  %t.117 = load <16 x float>, ptr %v.10
  %t.118 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.114, <16 x float> %t.77, <16 x float> %t.117)
  store <16 x float> %t.118, ptr %v.10
  %p.119 = getelementptr i8, ptr %p.70, i64 20
  %t.120 = load float, ptr %p.119, align 4
  %t.121 = insertelement <16 x float> poison, float %t.120, i32 0
  %t.122 = shufflevector <16 x float> %t.121, <16 x float> poison, <16 x i32> zeroinitializer
  %t.123 = load <16 x float>, ptr %v.11
  %t.124 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.122, <16 x float> %t.75, <16 x float> %t.123)
  store <16 x float> %t.124, ptr %v.11
  %t.125 = load <16 x float>, ptr %v.12
  %t.126 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.122, <16 x float> %t.77, <16 x float> %t.125)
  store <16 x float> %t.126, ptr %v.12
  %p.127 = getelementptr i8, ptr %p.70, i64 24
  %t.128 = load float, ptr %p.127, align 4
  %t.129 = insertelement <16 x float> poison, float %t.128, i32 0
  %t.130 = shufflevector <16 x float> %t.129, <16 x float> poison, <16 x i32> zeroinitializer
  %t.131 = load <16 x float>, ptr %v.13
  %t.132 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.130, <16 x float> %t.75, <16 x float> %t.131)
  store <16 x float> %t.132, ptr %v.13
  %t.133 = load <16 x float>, ptr %v.14
  %t.134 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.130, <16 x float> %t.77, <16 x float> %t.133)
  store <16 x float> %t.134, ptr %v.14
  %p.135 = getelementptr i8, ptr %p.70, i64 28
  %t.136 = load float, ptr %p.135, align 4
  %t.137 = insertelement <16 x float> poison, float %t.136, i32 0
  %t.138 = shufflevector <16 x float> %t.137, <16 x float> poison, <16 x i32> zeroinitializer
  %t.139 = load <16 x float>, ptr %v.15
  %t.140 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.138, <16 x float> %t.75, <16 x float> %t.139)
  store <16 x float> %t.140, ptr %v.15
  %t.141 = load <16 x float>, ptr %v.16
  %t.142 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.138, <16 x float> %t.77, <16 x float> %t.141)
  store <16 x float> %t.142, ptr %v.16
  %p.143 = getelementptr i8, ptr %p.70, i64 32
  %t.144 = load float, ptr %p.143, align 4
  %t.145 = insertelement <16 x float> poison, float %t.144, i32 0
  %t.146 = shufflevector <16 x float> %t.145, <16 x float> poison, <16 x i32> zeroinitializer
  %t.147 = load <16 x float>, ptr %v.17
  %t.148 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.146, <16 x float> %t.75, <16 x float> %t.147)
  store <16 x float> %t.148, ptr %v.17
  %t.149 = load <16 x float>, ptr %v.18
  %t.150 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.146, <16 x float> %t.77, <16 x float> %t.149)
  store <16 x float> %t.150, ptr %v.18
  %p.151 = getelementptr i8, ptr %p.70, i64 36
  %t.152 = load float, ptr %p.151, align 4
  %t.153 = insertelement <16 x float> poison, float %t.152, i32 0
  %t.154 = shufflevector <16 x float> %t.153, <16 x float> poison, <16 x i32> zeroinitializer
  %t.155 = load <16 x float>, ptr %v.19
  %t.156 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.154, <16 x float> %t.75, <16 x float> %t.155)
  store <16 x float> %t.156, ptr %v.19
  %t.157 = load <16 x float>, ptr %v.20
  %t.158 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.154, <16 x float> %t.77, <16 x float> %t.157)
  store <16 x float> %t.158, ptr %v.20
  %p.159 = getelementptr i8, ptr %p.70, i64 40
  %t.160 = load float, ptr %p.159, align 4
  %t.161 = insertelement <16 x float> poison, float %t.160, i32 0
  %t.162 = shufflevector <16 x float> %t.161, <16 x float> poison, <16 x i32> zeroinitializer
  %t.163 = load <16 x float>, ptr %v.21
  %t.164 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.162, <16 x float> %t.75, <16 x float> %t.163)
  store <16 x float> %t.164, ptr %v.21
  %t.165 = load <16 x float>, ptr %v.22
  %t.166 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.162, <16 x float> %t.77, <16 x float> %t.165)
  store <16 x float> %t.166, ptr %v.22
  %p.167 = getelementptr i8, ptr %p.70, i64 44
  %t.168 = load float, ptr %p.167, align 4
  %t.169 = insertelement <16 x float> poison, float %t.168, i32 0
  %t.170 = shufflevector <16 x float> %t.169, <16 x float> poison, <16 x i32> zeroinitializer
  %t.171 = load <16 x float>, ptr %v.23
  %t.172 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.170, <16 x float> %t.75, <16 x float> %t.171)
  store <16 x float> %t.172, ptr %v.23
  %t.173 = load <16 x float>, ptr %v.24
  %t.174 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.170, <16 x float> %t.77, <16 x float> %t.173)
  store <16 x float> %t.174, ptr %v.24
  %p.175 = getelementptr i8, ptr %p.70, i64 48
  %t.176 = load float, ptr %p.175, align 4
  %t.177 = insertelement <16 x float> poison, float %t.176, i32 0
  %t.178 = shufflevector <16 x float> %t.177, <16 x float> poison, <16 x i32> zeroinitializer
  %t.179 = load <16 x float>, ptr %v.25
  %t.180 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.178, <16 x float> %t.75, <16 x float> %t.179)
  store <16 x float> %t.180, ptr %v.25
  %t.181 = load <16 x float>, ptr %v.26
  %t.182 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.178, <16 x float> %t.77, <16 x float> %t.181)
  store <16 x float> %t.182, ptr %v.26
  %p.183 = getelementptr i8, ptr %p.70, i64 52
  %t.184 = load float, ptr %p.183, align 4
  %t.185 = insertelement <16 x float> poison, float %t.184, i32 0
  %t.186 = shufflevector <16 x float> %t.185, <16 x float> poison, <16 x i32> zeroinitializer
  %t.187 = load <16 x float>, ptr %v.27
  %t.188 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.186, <16 x float> %t.75, <16 x float> %t.187)
  store <16 x float> %t.188, ptr %v.27
  %t.189 = load <16 x float>, ptr %v.28
  %t.190 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.186, <16 x float> %t.77, <16 x float> %t.189)
  store <16 x float> %t.190, ptr %v.28
  %t.191 = mul i64 %i.62, 56
  %t.192 = add i64 %t.191, 56
  %p.193 = getelementptr i8, ptr %a, i64 %t.192
  %t.194 = mul i64 %i.62, 128
  %t.195 = add i64 %t.194, 128
  %p.196 = getelementptr i8, ptr %b, i64 %t.195
  %p.197 = getelementptr i8, ptr %p.196, i64 0
  %t.198 = load <16 x float>, ptr %p.197, align 16
  %p.199 = getelementptr i8, ptr %p.196, i64 64
  %t.200 = load <16 x float>, ptr %p.199, align 16
  %p.201 = getelementptr i8, ptr %p.193, i64 1792
  call void @llvm.prefetch.p0(ptr %p.201, i32 0, i32 3, i32 1)
  %p.202 = getelementptr i8, ptr %p.193, i64 0
  %t.203 = load float, ptr %p.202, align 4
  %t.204 = insertelement <16 x float> poison, float %t.203, i32 0
  %t.205 = shufflevector <16 x float> %t.204, <16 x float> poison, <16 x i32> zeroinitializer
  %t.206 = load <16 x float>, ptr %v.1
  %t.207 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.205, <16 x float> %t.198, <16 x float> %t.206)
  store <16 x float> %t.207, ptr %v.1
  %t.208 = load <16 x float>, ptr %v.2
  %t.209 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.205, <16 x float> %t.200, <16 x float> %t.208)
  store <16 x float> %t.209, ptr %v.2
  %p.210 = getelementptr i8, ptr %p.193, i64 4
  %t.211 = load float, ptr %p.210, align 4
  %t.212 = insertelement <16 x float> poison, float %t.211, i32 0
  %t.213 = shufflevector <16 x float> %t.212, <16 x float> poison, <16 x i32> zeroinitializer
  %t.214 = load <16 x float>, ptr %v.3
  %t.215 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.213, <16 x float> %t.198, <16 x float> %t.214)
  store <16 x float> %t.215, ptr %v.3
  %t.216 = load <16 x float>, ptr %v.4
  %t.217 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.213, <16 x float> %t.200, <16 x float> %t.216)
  store <16 x float> %t.217, ptr %v.4
  %p.218 = getelementptr i8, ptr %p.193, i64 8
  %t.219 = load float, ptr %p.218, align 4
  %t.220 = insertelement <16 x float> poison, float %t.219, i32 0
  %t.221 = shufflevector <16 x float> %t.220, <16 x float> poison, <16 x i32> zeroinitializer
  %t.222 = load <16 x float>, ptr %v.5
  %t.223 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.221, <16 x float> %t.198, <16 x float> %t.222)
  store <16 x float> %t.223, ptr %v.5
  %t.224 = load <16 x float>, ptr %v.6
  %t.225 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.221, <16 x float> %t.200, <16 x float> %t.224)
  store <16 x float> %t.225, ptr %v.6
  %p.226 = getelementptr i8, ptr %p.193, i64 12
  %t.227 = load float, ptr %p.226, align 4
  %t.228 = insertelement <16 x float> poison, float %t.227, i32 0
  %t.229 = shufflevector <16 x float> %t.228, <16 x float> poison, <16 x i32> zeroinitializer
  %t.230 = load <16 x float>, ptr %v.7
  %t.231 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.229, <16 x float> %t.198, <16 x float> %t.230)
  store <16 x float> %t.231, ptr %v.7
  %t.232 = load <16 x float>, ptr %v.8
  %t.233 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.229, <16 x float> %t.200, <16 x float> %t.232)
  store <16 x float> %t.233, ptr %v.8
  %p.234 = getelementptr i8, ptr %p.193, i64 16
  %t.235 = load float, ptr %p.234, align 4
  %t.236 = insertelement <16 x float> poison, float %t.235, i32 0
  %t.237 = shufflevector <16 x float> %t.236, <16 x float> poison, <16 x i32> zeroinitializer
  %t.238 = load <16 x float>, ptr %v.9
  %t.239 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.237, <16 x float> %t.198, <16 x float> %t.238)
  store <16 x float> %t.239, ptr %v.9
  %t.240 = load <16 x float>, ptr %v.10
  %t.241 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.237, <16 x float> %t.200, <16 x float> %t.240)
  store <16 x float> %t.241, ptr %v.10
  %p.242 = getelementptr i8, ptr %p.193, i64 20
  %t.243 = load float, ptr %p.242, align 4
  %t.244 = insertelement <16 x float> poison, float %t.243, i32 0
  %t.245 = shufflevector <16 x float> %t.244, <16 x float> poison, <16 x i32> zeroinitializer
  %t.246 = load <16 x float>, ptr %v.11
  %t.247 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.245, <16 x float> %t.198, <16 x float> %t.246)
  store <16 x float> %t.247, ptr %v.11
  %t.248 = load <16 x float>, ptr %v.12
  %t.249 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.245, <16 x float> %t.200, <16 x float> %t.248)
  store <16 x float> %t.249, ptr %v.12
  %p.250 = getelementptr i8, ptr %p.193, i64 24
  %t.251 = load float, ptr %p.250, align 4
  %t.252 = insertelement <16 x float> poison, float %t.251, i32 0
  %t.253 = shufflevector <16 x float> %t.252, <16 x float> poison, <16 x i32> zeroinitializer
  %t.254 = load <16 x float>, ptr %v.13
  %t.255 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.253, <16 x float> %t.198, <16 x float> %t.254)
  store <16 x float> %t.255, ptr %v.13
  %t.256 = load <16 x float>, ptr %v.14
  %t.257 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.253, <16 x float> %t.200, <16 x float> %t.256)
  store <16 x float> %t.257, ptr %v.14
  %p.258 = getelementptr i8, ptr %p.193, i64 28
  %t.259 = load float, ptr %p.258, align 4
  %t.260 = insertelement <16 x float> poison, float %t.259, i32 0
  %t.261 = shufflevector <16 x float> %t.260, <16 x float> poison, <16 x i32> zeroinitializer
  %t.262 = load <16 x float>, ptr %v.15
  %t.263 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.261, <16 x float> %t.198, <16 x float> %t.262)
  store <16 x float> %t.263, ptr %v.15
  %t.264 = load <16 x float>, ptr %v.16
  %t.265 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.261, <16 x float> %t.200, <16 x float> %t.264)
  store <16 x float> %t.265, ptr %v.16
  %p.266 = getelementptr i8, ptr %p.193, i64 32
  %t.267 = load float, ptr %p.266, align 4
  %t.268 = insertelement <16 x float> poison, float %t.267, i32 0
  %t.269 = shufflevector <16 x float> %t.268, <16 x float> poison, <16 x i32> zeroinitializer
  %t.270 = load <16 x float>, ptr %v.17
  %t.271 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.269, <16 x float> %t.198, <16 x float> %t.270)
  store <16 x float> %t.271, ptr %v.17
  %t.272 = load <16 x float>, ptr %v.18
  %t.273 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.269, <16 x float> %t.200, <16 x float> %t.272)
  store <16 x float> %t.273, ptr %v.18
  %p.274 = getelementptr i8, ptr %p.193, i64 36
  %t.275 = load float, ptr %p.274, align 4
  %t.276 = insertelement <16 x float> poison, float %t.275, i32 0
  %t.277 = shufflevector <16 x float> %t.276, <16 x float> poison, <16 x i32> zeroinitializer
  %t.278 = load <16 x float>, ptr %v.19
  %t.279 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.277, <16 x float> %t.198, <16 x float> %t.278)
  store <16 x float> %t.279, ptr %v.19
  %t.280 = load <16 x float>, ptr %v.20
  %t.281 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.277, <16 x float> %t.200, <16 x float> %t.280)
  store <16 x float> %t.281, ptr %v.20
  %p.282 = getelementptr i8, ptr %p.193, i64 40
  %t.283 = load float, ptr %p.282, align 4
  %t.284 = insertelement <16 x float> poison, float %t.283, i32 0
  %t.285 = shufflevector <16 x float> %t.284, <16 x float> poison, <16 x i32> zeroinitializer
  %t.286 = load <16 x float>, ptr %v.21
  %t.287 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.285, <16 x float> %t.198, <16 x float> %t.286)
  store <16 x float> %t.287, ptr %v.21
  %t.288 = load <16 x float>, ptr %v.22
  %t.289 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.285, <16 x float> %t.200, <16 x float> %t.288)
  store <16 x float> %t.289, ptr %v.22
  %p.290 = getelementptr i8, ptr %p.193, i64 44
  %t.291 = load float, ptr %p.290, align 4
  %t.292 = insertelement <16 x float> poison, float %t.291, i32 0
  %t.293 = shufflevector <16 x float> %t.292, <16 x float> poison, <16 x i32> zeroinitializer
  %t.294 = load <16 x float>, ptr %v.23
  %t.295 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.293, <16 x float> %t.198, <16 x float> %t.294)
  store <16 x float> %t.295, ptr %v.23
  %t.296 = load <16 x float>, ptr %v.24
  %t.297 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.293, <16 x float> %t.200, <16 x float> %t.296)
  store <16 x float> %t.297, ptr %v.24
  %p.298 = getelementptr i8, ptr %p.193, i64 48
  %t.299 = load float, ptr %p.298, align 4
  %t.300 = insertelement <16 x float> poison, float %t.299, i32 0
  %t.301 = shufflevector <16 x float> %t.300, <16 x float> poison, <16 x i32> zeroinitializer
  %t.302 = load <16 x float>, ptr %v.25
  %t.303 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.301, <16 x float> %t.198, <16 x float> %t.302)
  store <16 x float> %t.303, ptr %v.25
  %t.304 = load <16 x float>, ptr %v.26
  %t.305 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.301, <16 x float> %t.200, <16 x float> %t.304)
  store <16 x float> %t.305, ptr %v.26
  %p.306 = getelementptr i8, ptr %p.193, i64 52
  %t.307 = load float, ptr %p.306, align 4
  %t.308 = insertelement <16 x float> poison, float %t.307, i32 0
  %t.309 = shufflevector <16 x float> %t.308, <16 x float> poison, <16 x i32> zeroinitializer
  %t.310 = load <16 x float>, ptr %v.27
  %t.311 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.309, <16 x float> %t.198, <16 x float> %t.310)
  store <16 x float> %t.311, ptr %v.27
  %t.312 = load <16 x float>, ptr %v.28
  %t.313 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.309, <16 x float> %t.200, <16 x float> %t.312)
  store <16 x float> %t.313, ptr %v.28
  %i.63 = add i64 %i.62, 2
  br label %head.59
done.61:
  %t.314 = icmp ne ptr %start, null
  br i1 %t.314, label %then.315, label %done.316
then.315:
  %p.317 = getelementptr i8, ptr %start, i64 0
  %t.318 = load <16 x float>, ptr %p.317, align 16
  %t.319 = load <16 x float>, ptr %v.1
  %t.320 = fadd <16 x float> %t.318, %t.319
  store <16 x float> %t.320, ptr %v.1
  %p.321 = getelementptr i8, ptr %start, i64 64
  %t.322 = load <16 x float>, ptr %p.321, align 16
  %t.323 = load <16 x float>, ptr %v.2
  %t.324 = fadd <16 x float> %t.322, %t.323
  store <16 x float> %t.324, ptr %v.2
  %p.325 = getelementptr i8, ptr %start, i64 128
  %t.326 = load <16 x float>, ptr %p.325, align 16
  %t.327 = load <16 x float>, ptr %v.3
  %t.328 = fadd <16 x float> %t.326, %t.327
  store <16 x float> %t.328, ptr %v.3
  %p.329 = getelementptr i8, ptr %start, i64 192
  %t.330 = load <16 x float>, ptr %p.329, align 16
  %t.331 = load <16 x float>, ptr %v.4
  %t.332 = fadd <16 x float> %t.330, %t.331
  store <16 x float> %t.332, ptr %v.4
  %p.333 = getelementptr i8, ptr %start, i64 256
  %t.334 = load <16 x float>, ptr %p.333, align 16
  %t.335 = load <16 x float>, ptr %v.5
  %t.336 = fadd <16 x float> %t.334, %t.335
  store <16 x float> %t.336, ptr %v.5
  %p.337 = getelementptr i8, ptr %start, i64 320
  %t.338 = load <16 x float>, ptr %p.337, align 16
  %t.339 = load <16 x float>, ptr %v.6
  %t.340 = fadd <16 x float> %t.338, %t.339
  store <16 x float> %t.340, ptr %v.6
  %p.341 = getelementptr i8, ptr %start, i64 384
  %t.342 = load <16 x float>, ptr %p.341, align 16
  %t.343 = load <16 x float>, ptr %v.7
  %t.344 = fadd <16 x float> %t.342, %t.343
  store <16 x float> %t.344, ptr %v.7
  %p.345 = getelementptr i8, ptr %start, i64 448
  %t.346 = load <16 x float>, ptr %p.345, align 16
  %t.347 = load <16 x float>, ptr %v.8
  %t.348 = fadd <16 x float> %t.346, %t.347
  store <16 x float> %t.348, ptr %v.8
  %p.349 = getelementptr i8, ptr %start, i64 512
  %t.350 = load <16 x float>, ptr %p.349, align 16
  %t.351 = load <16 x float>, ptr %v.9
  %t.352 = fadd <16 x float> %t.350, %t.351
  store <16 x float> %t.352, ptr %v.9
  %p.353 = getelementptr i8, ptr %start, i64 576
  %t.354 = load <16 x float>, ptr %p.353, align 16
  %t.355 = load <16 x float>, ptr %v.10
  %t.356 = fadd <16 x float> %t.354, %t.355
  store <16 x float> %t.356, ptr %v.10
  %p.357 = getelementptr i8, ptr %start, i64 640
  %t.358 = load <16 x float>, ptr %p.357, align 16
  %t.359 = load <16 x float>, ptr %v.11
  %t.360 = fadd <16 x float> %t.358, %t.359
  store <16 x float> %t.360, ptr %v.11
  %p.361 = getelementptr i8, ptr %start, i64 704
  %t.362 = load <16 x float>, ptr %p.361, align 16
  %t.363 = load <16 x float>, ptr %v.12
  %t.364 = fadd <16 x float> %t.362, %t.363
  store <16 x float> %t.364, ptr %v.12
  %p.365 = getelementptr i8, ptr %start, i64 768
  %t.366 = load <16 x float>, ptr %p.365, align 16
  %t.367 = load <16 x float>, ptr %v.13
  %t.368 = fadd <16 x float> %t.366, %t.367
  store <16 x float> %t.368, ptr %v.13
  %p.369 = getelementptr i8, ptr %start, i64 832
  %t.370 = load <16 x float>, ptr %p.369, align 16
  %t.371 = load <16 x float>, ptr %v.14
  %t.372 = fadd <16 x float> %t.370, %t.371
  store <16 x float> %t.372, ptr %v.14
  %p.373 = getelementptr i8, ptr %start, i64 896
  %t.374 = load <16 x float>, ptr %p.373, align 16
  %t.375 = load <16 x float>, ptr %v.15
  %t.376 = fadd <16 x float> %t.374, %t.375
  store <16 x float> %t.376, ptr %v.15
  %p.377 = getelementptr i8, ptr %start, i64 960
  %t.378 = load <16 x float>, ptr %p.377, align 16
  %t.379 = load <16 x float>, ptr %v.16
  %t.380 = fadd <16 x float> %t.378, %t.379
  store <16 x float> %t.380, ptr %v.16
  %p.381 = getelementptr i8, ptr %start, i64 1024
  %t.382 = load <16 x float>, ptr %p.381, align 16
  %t.383 = load <16 x float>, ptr %v.17
  %t.384 = fadd <16 x float> %t.382, %t.383
  store <16 x float> %t.384, ptr %v.17
  %p.385 = getelementptr i8, ptr %start, i64 1088
  %t.386 = load <16 x float>, ptr %p.385, align 16
  %t.387 = load <16 x float>, ptr %v.18
  %t.388 = fadd <16 x float> %t.386, %t.387
  store <16 x float> %t.388, ptr %v.18
  %p.389 = getelementptr i8, ptr %start, i64 1152
  %t.390 = load <16 x float>, ptr %p.389, align 16
  %t.391 = load <16 x float>, ptr %v.19
  %t.392 = fadd <16 x float> %t.390, %t.391
  store <16 x float> %t.392, ptr %v.19
  %p.393 = getelementptr i8, ptr %start, i64 1216
  %t.394 = load <16 x float>, ptr %p.393, align 16
  %t.395 = load <16 x float>, ptr %v.20
  %t.396 = fadd <16 x float> %t.394, %t.395
  store <16 x float> %t.396, ptr %v.20
  %p.397 = getelementptr i8, ptr %start, i64 1280
  %t.398 = load <16 x float>, ptr %p.397, align 16
  %t.399 = load <16 x float>, ptr %v.21
  %t.400 = fadd <16 x float> %t.398, %t.399
  store <16 x float> %t.400, ptr %v.21
  %p.401 = getelementptr i8, ptr %start, i64 1344
  %t.402 = load <16 x float>, ptr %p.401, align 16
  %t.403 = load <16 x float>, ptr %v.22
  %t.404 = fadd <16 x float> %t.402, %t.403
  store <16 x float> %t.404, ptr %v.22
  %p.405 = getelementptr i8, ptr %start, i64 1408
  %t.406 = load <16 x float>, ptr %p.405, align 16
  %t.407 = load <16 x float>, ptr %v.23
  %t.408 = fadd <16 x float> %t.406, %t.407
  store <16 x float> %t.408, ptr %v.23
  %p.409 = getelementptr i8, ptr %start, i64 1472
  %t.410 = load <16 x float>, ptr %p.409, align 16
  %t.411 = load <16 x float>, ptr %v.24
  %t.412 = fadd <16 x float> %t.410, %t.411
  store <16 x float> %t.412, ptr %v.24
  %p.413 = getelementptr i8, ptr %start, i64 1536
  %t.414 = load <16 x float>, ptr %p.413, align 16
  %t.415 = load <16 x float>, ptr %v.25
  %t.416 = fadd <16 x float> %t.414, %t.415
  store <16 x float> %t.416, ptr %v.25
  %p.417 = getelementptr i8, ptr %start, i64 1600
  %t.418 = load <16 x float>, ptr %p.417, align 16
  %t.419 = load <16 x float>, ptr %v.26
  %t.420 = fadd <16 x float> %t.418, %t.419
  store <16 x float> %t.420, ptr %v.26
  %p.421 = getelementptr i8, ptr %start, i64 1664
  %t.422 = load <16 x float>, ptr %p.421, align 16
  %t.423 = load <16 x float>, ptr %v.27
  %t.424 = fadd <16 x float> %t.422, %t.423
  store <16 x float> %t.424, ptr %v.27
  %p.425 = getelementptr i8, ptr %start, i64 1728
  %t.426 = load <16 x float>, ptr %p.425, align 16
  %t.427 = load <16 x float>, ptr %v.28
  %t.428 = fadd <16 x float> %t.426, %t.427
  store <16 x float> %t.428, ptr %v.28
  br label %done.316
done.316:
  %t.429 = load <16 x float>, ptr %v.1
  %p.430 = getelementptr i8, ptr %tile, i64 0
  store <16 x float> %t.429, ptr %p.430, align 16
  %t.431 = load <16 x float>, ptr %v.2
  %p.432 = getelementptr i8, ptr %tile, i64 64
  store <16 x float> %t.431, ptr %p.432, align 16
  %t.433 = load <16 x float>, ptr %v.3
  %p.434 = getelementptr i8, ptr %tile, i64 128
  store <16 x float> %t.433, ptr %p.434, align 16
  %t.435 = load <16 x float>, ptr %v.4
  %p.436 = getelementptr i8, ptr %tile, i64 192
  store <16 x float> %t.435, ptr %p.436, align 16
  %t.437 = load <16 x float>, ptr %v.5
  %p.438 = getelementptr i8, ptr %tile, i64 256
  store <16 x float> %t.437, ptr %p.438, align 16
  %t.439 = load <16 x float>, ptr %v.6
  %p.440 = getelementptr i8, ptr %tile, i64 320
  store <16 x float> %t.439, ptr %p.440, align 16
  %t.441 = load <16 x float>, ptr %v.7
  %p.442 = getelementptr i8, ptr %tile, i64 384
  store <16 x float> %t.441, ptr %p.442, align 16
  %t.443 = load <16 x float>, ptr %v.8
  %p.444 = getelementptr i8, ptr %tile, i64 448
  store <16 x float> %t.443, ptr %p.444, align 16
  %t.445 = load <16 x float>, ptr %v.9
  %p.446 = getelementptr i8, ptr %tile, i64 512
  store <16 x float> %t.445, ptr %p.446, align 16
  %t.447 = load <16 x float>, ptr %v.10
  %p.448 = getelementptr i8, ptr %tile, i64 576
  store <16 x float> %t.447, ptr %p.448, align 16
  %t.449 = load <16 x float>, ptr %v.11
  %p.450 = getelementptr i8, ptr %tile, i64 640
  store <16 x float> %t.449, ptr %p.450, align 16
  %t.451 = load <16 x float>, ptr %v.12
  %p.452 = getelementptr i8, ptr %tile, i64 704
  store <16 x float> %t.451, ptr %p.452, align 16
  %t.453 = load <16 x float>, ptr %v.13
  %p.454 = getelementptr i8, ptr %tile, i64 768
  store <16 x float> %t.453, ptr %p.454, align 16
  %t.455 = load <16 x float>, ptr %v.14
  %p.456 = getelementptr i8, ptr %tile, i64 832
  store <16 x float> %t.455, ptr %p.456, align 16
  %t.457 = load <16 x float>, ptr %v.15
  %p.458 = getelementptr i8, ptr %tile, i64 896
  store <16 x float> %t.457, ptr %p.458, align 16
  %t.459 = load <16 x float>, ptr %v.16
  %p.460 = getelementptr i8, ptr %tile, i64 960
  store <16 x float> %t.459, ptr %p.460, align 16
  %t.461 = load <16 x float>, ptr %v.17
  %p.462 = getelementptr i8, ptr %tile, i64 1024
  store <16 x float> %t.461, ptr %p.462, align 16
  %t.463 = load <16 x float>, ptr %v.18
  %p.464 = getelementptr i8, ptr %tile, i64 1088
  store <16 x float> %t.463, ptr %p.464, align 16
  %t.465 = load <16 x float>, ptr %v.19
  %p.466 = getelementptr i8, ptr %tile, i64 1152
  store <16 x float> %t.465, ptr %p.466, align 16
  %t.467 = load <16 x float>, ptr %v.20
  %p.468 = getelementptr i8, ptr %tile, i64 1216
  store <16 x float> %t.467, ptr %p.468, align 16
  %t.469 = load <16 x float>, ptr %v.21
  %p.470 = getelementptr i8, ptr %tile, i64 1280
  store <16 x float> %t.469, ptr %p.470, align 16
  %t.471 = load <16 x float>, ptr %v.22
  %p.472 = getelementptr i8, ptr %tile, i64 1344
  store <16 x float> %t.471, ptr %p.472, align 16
  %t.473 = load <16 x float>, ptr %v.23
  %p.474 = getelementptr i8, ptr %tile, i64 1408
  store <16 x float> %t.473, ptr %p.474, align 16
  %t.475 = load <16 x float>, ptr %v.24
  %p.476 = getelementptr i8, ptr %tile, i64 1472
  store <16 x float> %t.475, ptr %p.476, align 16
  %t.477 = load <16 x float>, ptr %v.25
  %p.478 = getelementptr i8, ptr %tile, i64 1536
  store <16 x float> %t.477, ptr %p.478, align 16
  %t.479 = load <16 x float>, ptr %v.26
  %p.480 = getelementptr i8, ptr %tile, i64 1600
  store <16 x float> %t.479, ptr %p.480, align 16
  %t.481 = load <16 x float>, ptr %v.27
  %p.482 = getelementptr i8, ptr %tile, i64 1664
  store <16 x float> %t.481, ptr %p.482, align 16
  %t.483 = load <16 x float>, ptr %v.28
  %p.484 = getelementptr i8, ptr %tile, i64 1728
  store <16 x float> %t.483, ptr %p.484, align 16
  ret void
}
