define internal void @micro_14_2(ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step) noinline {
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
  %t.65 = mul i64 %i.62, 56
  %p.66 = getelementptr i8, ptr %a, i64 %t.65
  %t.67 = mul i64 %i.62, 128
  %p.68 = getelementptr i8, ptr %b, i64 %t.67
  %p.69 = getelementptr i8, ptr %p.68, i64 0
  %t.70 = load <16 x float>, ptr %p.69, align 16
  %p.71 = getelementptr i8, ptr %p.68, i64 64
  %t.72 = load <16 x float>, ptr %p.71, align 16
  %p.73 = getelementptr i8, ptr %p.66, i64 1792
  call void @llvm.prefetch.p0(ptr %p.73, i32 0, i32 3, i32 1)
  %p.74 = getelementptr i8, ptr %p.68, i64 2048
  call void @llvm.prefetch.p0(ptr %p.74, i32 0, i32 3, i32 1)
  %p.75 = getelementptr i8, ptr %p.68, i64 2112
  call void @llvm.prefetch.p0(ptr %p.75, i32 0, i32 3, i32 1)
  %p.76 = getelementptr i8, ptr %p.66, i64 0
  %t.77 = load float, ptr %p.76, align 4
  %t.78 = insertelement <16 x float> poison, float %t.77, i32 0
  %t.79 = shufflevector <16 x float> %t.78, <16 x float> poison, <16 x i32> zeroinitializer
  %t.80 = load <16 x float>, ptr %v.1
  %t.81 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.79, <16 x float> %t.70, <16 x float> %t.80)
  store <16 x float> %t.81, ptr %v.1
  %t.82 = load <16 x float>, ptr %v.2
  %t.83 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.79, <16 x float> %t.72, <16 x float> %t.82)
  store <16 x float> %t.83, ptr %v.2
  %p.84 = getelementptr i8, ptr %p.66, i64 4
  %t.85 = load float, ptr %p.84, align 4
  %t.86 = insertelement <16 x float> poison, float %t.85, i32 0
  %t.87 = shufflevector <16 x float> %t.86, <16 x float> poison, <16 x i32> zeroinitializer
  %t.88 = load <16 x float>, ptr %v.3
  %t.89 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.87, <16 x float> %t.70, <16 x float> %t.88)
  store <16 x float> %t.89, ptr %v.3
  %t.90 = load <16 x float>, ptr %v.4
  %t.91 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.87, <16 x float> %t.72, <16 x float> %t.90)
  store <16 x float> %t.91, ptr %v.4
  %p.92 = getelementptr i8, ptr %p.66, i64 8
  %t.93 = load float, ptr %p.92, align 4
  %t.94 = insertelement <16 x float> poison, float %t.93, i32 0
  %t.95 = shufflevector <16 x float> %t.94, <16 x float> poison, <16 x i32> zeroinitializer
  %t.96 = load <16 x float>, ptr %v.5
  %t.97 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.95, <16 x float> %t.70, <16 x float> %t.96)
  store <16 x float> %t.97, ptr %v.5
  %t.98 = load <16 x float>, ptr %v.6
  %t.99 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.95, <16 x float> %t.72, <16 x float> %t.98)
  store <16 x float> %t.99, ptr %v.6
  %p.100 = getelementptr i8, ptr %p.66, i64 12
  %t.101 = load float, ptr %p.100, align 4
  %t.102 = insertelement <16 x float> poison, float %t.101, i32 0
  %t.103 = shufflevector <16 x float> %t.102, <16 x float> poison, <16 x i32> zeroinitializer
  %t.104 = load <16 x float>, ptr %v.7
  %t.105 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.103, <16 x float> %t.70, <16 x float> %t.104)
  store <16 x float> %t.105, ptr %v.7
  %t.106 = load <16 x float>, ptr %v.8
  %t.107 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.103, <16 x float> %t.72, <16 x float> %t.106)
  store <16 x float> %t.107, ptr %v.8
  %p.108 = getelementptr i8, ptr %p.66, i64 16
  %t.109 = load float, ptr %p.108, align 4
  %t.110 = insertelement <16 x float> poison, float %t.109, i32 0
  %t.111 = shufflevector <16 x float> %t.110, <16 x float> poison, <16 x i32> zeroinitializer
  %t.112 = load <16 x float>, ptr %v.9
  %t.113 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.111, <16 x float> %t.70, <16 x float> %t.112)
  store <16 x float> %t.113, ptr %v.9
  %t.114 = load <16 x float>, ptr %v.10
  %t.115 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.111, <16 x float> %t.72, <16 x float> %t.114)
  store <16 x float> %t.115, ptr %v.10
  %p.116 = getelementptr i8, ptr %p.66, i64 20
  %t.117 = load float, ptr %p.116, align 4
  %t.118 = insertelement <16 x float> poison, float %t.117, i32 0
  %t.119 = shufflevector <16 x float> %t.118, <16 x float> poison, <16 x i32> zeroinitializer
  %t.120 = load <16 x float>, ptr %v.11
  %t.121 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.119, <16 x float> %t.70, <16 x float> %t.120)
  store <16 x float> %t.121, ptr %v.11
  %t.122 = load <16 x float>, ptr %v.12
  %t.123 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.119, <16 x float> %t.72, <16 x float> %t.122)
  store <16 x float> %t.123, ptr %v.12
  %p.124 = getelementptr i8, ptr %p.66, i64 24
  %t.125 = load float, ptr %p.124, align 4
  %t.126 = insertelement <16 x float> poison, float %t.125, i32 0
  %t.127 = shufflevector <16 x float> %t.126, <16 x float> poison, <16 x i32> zeroinitializer
  %t.128 = load <16 x float>, ptr %v.13
  %t.129 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.127, <16 x float> %t.70, <16 x float> %t.128)
  store <16 x float> %t.129, ptr %v.13
  %t.130 = load <16 x float>, ptr %v.14
  %t.131 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.127, <16 x float> %t.72, <16 x float> %t.130)
  store <16 x float> %t.131, ptr %v.14
  %p.132 = getelementptr i8, ptr %p.66, i64 28
  %t.133 = load float, ptr %p.132, align 4
  %t.134 = insertelement <16 x float> poison, float %t.133, i32 0
  %t.135 = shufflevector <16 x float> %t.134, <16 x float> poison, <16 x i32> zeroinitializer
  %t.136 = load <16 x float>, ptr %v.15
  %t.137 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.135, <16 x float> %t.70, <16 x float> %t.136)
  store <16 x float> %t.137, ptr %v.15
  %t.138 = load <16 x float>, ptr %v.16
  %t.139 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.135, <16 x float> %t.72, <16 x float> %t.138)
  store <16 x float> %t.139, ptr %v.16
  %p.140 = getelementptr i8, ptr %p.66, i64 32
  %t.141 = load float, ptr %p.140, align 4
  %t.142 = insertelement <16 x float> poison, float %t.141, i32 0
  %t.143 = shufflevector <16 x float> %t.142, <16 x float> poison, <16 x i32> zeroinitializer
  %t.144 = load <16 x float>, ptr %v.17
  %t.145 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.143, <16 x float> %t.70, <16 x float> %t.144)
  store <16 x float> %t.145, ptr %v.17
  %t.146 = load <16 x float>, ptr %v.18
  %t.147 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.143, <16 x float> %t.72, <16 x float> %t.146)
  store <16 x float> %t.147, ptr %v.18
  %p.148 = getelementptr i8, ptr %p.66, i64 36
  %t.149 = load float, ptr %p.148, align 4
  %t.150 = insertelement <16 x float> poison, float %t.149, i32 0
  %t.151 = shufflevector <16 x float> %t.150, <16 x float> poison, <16 x i32> zeroinitializer
  %t.152 = load <16 x float>, ptr %v.19
  %t.153 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.151, <16 x float> %t.70, <16 x float> %t.152)
  store <16 x float> %t.153, ptr %v.19
  %t.154 = load <16 x float>, ptr %v.20
  %t.155 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.151, <16 x float> %t.72, <16 x float> %t.154)
  store <16 x float> %t.155, ptr %v.20
  %p.156 = getelementptr i8, ptr %p.66, i64 40
  %t.157 = load float, ptr %p.156, align 4
  %t.158 = insertelement <16 x float> poison, float %t.157, i32 0
  %t.159 = shufflevector <16 x float> %t.158, <16 x float> poison, <16 x i32> zeroinitializer
  %t.160 = load <16 x float>, ptr %v.21
  %t.161 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.159, <16 x float> %t.70, <16 x float> %t.160)
  store <16 x float> %t.161, ptr %v.21
  %t.162 = load <16 x float>, ptr %v.22
  %t.163 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.159, <16 x float> %t.72, <16 x float> %t.162)
  store <16 x float> %t.163, ptr %v.22
  %p.164 = getelementptr i8, ptr %p.66, i64 44
  %t.165 = load float, ptr %p.164, align 4
  %t.166 = insertelement <16 x float> poison, float %t.165, i32 0
  %t.167 = shufflevector <16 x float> %t.166, <16 x float> poison, <16 x i32> zeroinitializer
  %t.168 = load <16 x float>, ptr %v.23
  %t.169 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.167, <16 x float> %t.70, <16 x float> %t.168)
  store <16 x float> %t.169, ptr %v.23
  %t.170 = load <16 x float>, ptr %v.24
  %t.171 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.167, <16 x float> %t.72, <16 x float> %t.170)
  store <16 x float> %t.171, ptr %v.24
  %p.172 = getelementptr i8, ptr %p.66, i64 48
  %t.173 = load float, ptr %p.172, align 4
  %t.174 = insertelement <16 x float> poison, float %t.173, i32 0
  %t.175 = shufflevector <16 x float> %t.174, <16 x float> poison, <16 x i32> zeroinitializer
  %t.176 = load <16 x float>, ptr %v.25
  %t.177 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.175, <16 x float> %t.70, <16 x float> %t.176)
  store <16 x float> %t.177, ptr %v.25
  %t.178 = load <16 x float>, ptr %v.26
  %t.179 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.175, <16 x float> %t.72, <16 x float> %t.178)
  store <16 x float> %t.179, ptr %v.26
  %p.180 = getelementptr i8, ptr %p.66, i64 52
  %t.181 = load float, ptr %p.180, align 4
  %t.182 = insertelement <16 x float> poison, float %t.181, i32 0
  %t.183 = shufflevector <16 x float> %t.182, <16 x float> poison, <16 x i32> zeroinitializer
  %t.184 = load <16 x float>, ptr %v.27
  %t.185 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.183, <16 x float> %t.70, <16 x float> %t.184)
  store <16 x float> %t.185, ptr %v.27
  %t.186 = load <16 x float>, ptr %v.28
  %t.187 = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %t.183, <16 x float> %t.72, <16 x float> %t.186)
  store <16 x float> %t.187, ptr %v.28
  %i.63 = add i64 %i.62, 1
  br label %head.59
done.61:
  %t.188 = icmp ne ptr %start, null
  br i1 %t.188, label %then.189, label %done.190
then.189:
  %p.191 = getelementptr i8, ptr %start, i64 0
  %t.192 = load <16 x float>, ptr %p.191, align 16
  %t.193 = load <16 x float>, ptr %v.1
  %t.194 = fadd <16 x float> %t.192, %t.193
  store <16 x float> %t.194, ptr %v.1
  %p.195 = getelementptr i8, ptr %start, i64 64
  %t.196 = load <16 x float>, ptr %p.195, align 16
  %t.197 = load <16 x float>, ptr %v.2
  %t.198 = fadd <16 x float> %t.196, %t.197
  store <16 x float> %t.198, ptr %v.2
  %p.199 = getelementptr i8, ptr %start, i64 128
  %t.200 = load <16 x float>, ptr %p.199, align 16
  %t.201 = load <16 x float>, ptr %v.3
  %t.202 = fadd <16 x float> %t.200, %t.201
  store <16 x float> %t.202, ptr %v.3
  %p.203 = getelementptr i8, ptr %start, i64 192
  %t.204 = load <16 x float>, ptr %p.203, align 16
  %t.205 = load <16 x float>, ptr %v.4
  %t.206 = fadd <16 x float> %t.204, %t.205
  store <16 x float> %t.206, ptr %v.4
  %p.207 = getelementptr i8, ptr %start, i64 256
  %t.208 = load <16 x float>, ptr %p.207, align 16
  %t.209 = load <16 x float>, ptr %v.5
  %t.210 = fadd <16 x float> %t.208, %t.209
  store <16 x float> %t.210, ptr %v.5
  %p.211 = getelementptr i8, ptr %start, i64 320
  %t.212 = load <16 x float>, ptr %p.211, align 16
  %t.213 = load <16 x float>, ptr %v.6
  %t.214 = fadd <16 x float> %t.212, %t.213
  store <16 x float> %t.214, ptr %v.6
  %p.215 = getelementptr i8, ptr %start, i64 384
  %t.216 = load <16 x float>, ptr %p.215, align 16
  %t.217 = load <16 x float>, ptr %v.7
  %t.218 = fadd <16 x float> %t.216, %t.217
  store <16 x float> %t.218, ptr %v.7
  %p.219 = getelementptr i8, ptr %start, i64 448
  %t.220 = load <16 x float>, ptr %p.219, align 16
  %t.221 = load <16 x float>, ptr %v.8
  %t.222 = fadd <16 x float> %t.220, %t.221
  store <16 x float> %t.222, ptr %v.8
  %p.223 = getelementptr i8, ptr %start, i64 512
  %t.224 = load <16 x float>, ptr %p.223, align 16
  %t.225 = load <16 x float>, ptr %v.9
  %t.226 = fadd <16 x float> %t.224, %t.225
  store <16 x float> %t.226, ptr %v.9
  %p.227 = getelementptr i8, ptr %start, i64 576
  %t.228 = load <16 x float>, ptr %p.227, align 16
  %t.229 = load <16 x float>, ptr %v.10
  %t.230 = fadd <16 x float> %t.228, %t.229
  store <16 x float> %t.230, ptr %v.10
  %p.231 = getelementptr i8, ptr %start, i64 640
  %t.232 = load <16 x float>, ptr %p.231, align 16
  %t.233 = load <16 x float>, ptr %v.11
  %t.234 = fadd <16 x float> %t.232, %t.233
  store <16 x float> %t.234, ptr %v.11
  %p.235 = getelementptr i8, ptr %start, i64 704
  %t.236 = load <16 x float>, ptr %p.235, align 16
  %t.237 = load <16 x float>, ptr %v.12
  %t.238 = fadd <16 x float> %t.236, %t.237
  store <16 x float> %t.238, ptr %v.12
  %p.239 = getelementptr i8, ptr %start, i64 768
  %t.240 = load <16 x float>, ptr %p.239, align 16
  %t.241 = load <16 x float>, ptr %v.13
  %t.242 = fadd <16 x float> %t.240, %t.241
  store <16 x float> %t.242, ptr %v.13
  %p.243 = getelementptr i8, ptr %start, i64 832
  %t.244 = load <16 x float>, ptr %p.243, align 16
  %t.245 = load <16 x float>, ptr %v.14
  %t.246 = fadd <16 x float> %t.244, %t.245
  store <16 x float> %t.246, ptr %v.14
  %p.247 = getelementptr i8, ptr %start, i64 896
  %t.248 = load <16 x float>, ptr %p.247, align 16
  %t.249 = load <16 x float>, ptr %v.15
  %t.250 = fadd <16 x float> %t.248, %t.249
  store <16 x float> %t.250, ptr %v.15
  %p.251 = getelementptr i8, ptr %start, i64 960
  %t.252 = load <16 x float>, ptr %p.251, align 16
  %t.253 = load <16 x float>, ptr %v.16
  %t.254 = fadd <16 x float> %t.252, %t.253
  store <16 x float> %t.254, ptr %v.16
  %p.255 = getelementptr i8, ptr %start, i64 1024
  %t.256 = load <16 x float>, ptr %p.255, align 16
  %t.257 = load <16 x float>, ptr %v.17
  %t.258 = fadd <16 x float> %t.256, %t.257
  store <16 x float> %t.258, ptr %v.17
  %p.259 = getelementptr i8, ptr %start, i64 1088
  %t.260 = load <16 x float>, ptr %p.259, align 16
  %t.261 = load <16 x float>, ptr %v.18
  %t.262 = fadd <16 x float> %t.260, %t.261
  store <16 x float> %t.262, ptr %v.18
  %p.263 = getelementptr i8, ptr %start, i64 1152
  %t.264 = load <16 x float>, ptr %p.263, align 16
  %t.265 = load <16 x float>, ptr %v.19
  %t.266 = fadd <16 x float> %t.264, %t.265
  store <16 x float> %t.266, ptr %v.19
  %p.267 = getelementptr i8, ptr %start, i64 1216
  %t.268 = load <16 x float>, ptr %p.267, align 16
  %t.269 = load <16 x float>, ptr %v.20
  %t.270 = fadd <16 x float> %t.268, %t.269
  store <16 x float> %t.270, ptr %v.20
  %p.271 = getelementptr i8, ptr %start, i64 1280
  %t.272 = load <16 x float>, ptr %p.271, align 16
  %t.273 = load <16 x float>, ptr %v.21
  %t.274 = fadd <16 x float> %t.272, %t.273
  store <16 x float> %t.274, ptr %v.21
  %p.275 = getelementptr i8, ptr %start, i64 1344
  %t.276 = load <16 x float>, ptr %p.275, align 16
  %t.277 = load <16 x float>, ptr %v.22
  %t.278 = fadd <16 x float> %t.276, %t.277
  store <16 x float> %t.278, ptr %v.22
  %p.279 = getelementptr i8, ptr %start, i64 1408
  %t.280 = load <16 x float>, ptr %p.279, align 16
  %t.281 = load <16 x float>, ptr %v.23
  %t.282 = fadd <16 x float> %t.280, %t.281
  store <16 x float> %t.282, ptr %v.23
  %p.283 = getelementptr i8, ptr %start, i64 1472
  %t.284 = load <16 x float>, ptr %p.283, align 16
  %t.285 = load <16 x float>, ptr %v.24
  %t.286 = fadd <16 x float> %t.284, %t.285
  store <16 x float> %t.286, ptr %v.24
  %p.287 = getelementptr i8, ptr %start, i64 1536
  %t.288 = load <16 x float>, ptr %p.287, align 16
  %t.289 = load <16 x float>, ptr %v.25
  %t.290 = fadd <16 x float> %t.288, %t.289
  store <16 x float> %t.290, ptr %v.25
  %p.291 = getelementptr i8, ptr %start, i64 1600
  %t.292 = load <16 x float>, ptr %p.291, align 16
  %t.293 = load <16 x float>, ptr %v.26
  %t.294 = fadd <16 x float> %t.292, %t.293
  store <16 x float> %t.294, ptr %v.26
  %p.295 = getelementptr i8, ptr %start, i64 1664
  %t.296 = load <16 x float>, ptr %p.295, align 16
  %t.297 = load <16 x float>, ptr %v.27
  %t.298 = fadd <16 x float> %t.296, %t.297
  store <16 x float> %t.298, ptr %v.27
  %p.299 = getelementptr i8, ptr %start, i64 1728
  %t.300 = load <16 x float>, ptr %p.299, align 16
  %t.301 = load <16 x float>, ptr %v.28
  %t.302 = fadd <16 x float> %t.300, %t.301
  store <16 x float> %t.302, ptr %v.28
  br label %done.190
done.190:
  %t.303 = load <16 x float>, ptr %v.1
  %p.304 = getelementptr i8, ptr %tile, i64 0
  store <16 x float> %t.303, ptr %p.304, align 16
  %t.305 = load <16 x float>, ptr %v.2
  %p.306 = getelementptr i8, ptr %tile, i64 64
  store <16 x float> %t.305, ptr %p.306, align 16
  %t.307 = load <16 x float>, ptr %v.3
  %p.308 = getelementptr i8, ptr %tile, i64 128
  store <16 x float> %t.307, ptr %p.308, align 16
  %t.309 = load <16 x float>, ptr %v.4
  %p.310 = getelementptr i8, ptr %tile, i64 192
  store <16 x float> %t.309, ptr %p.310, align 16
  %t.311 = load <16 x float>, ptr %v.5
  %p.312 = getelementptr i8, ptr %tile, i64 256
  store <16 x float> %t.311, ptr %p.312, align 16
  %t.313 = load <16 x float>, ptr %v.6
  %p.314 = getelementptr i8, ptr %tile, i64 320
  store <16 x float> %t.313, ptr %p.314, align 16
  %t.315 = load <16 x float>, ptr %v.7
  %p.316 = getelementptr i8, ptr %tile, i64 384
  store <16 x float> %t.315, ptr %p.316, align 16
  %t.317 = load <16 x float>, ptr %v.8
  %p.318 = getelementptr i8, ptr %tile, i64 448
  store <16 x float> %t.317, ptr %p.318, align 16
  %t.319 = load <16 x float>, ptr %v.9
  %p.320 = getelementptr i8, ptr %tile, i64 512
  store <16 x float> %t.319, ptr %p.320, align 16
  %t.321 = load <16 x float>, ptr %v.10
  %p.322 = getelementptr i8, ptr %tile, i64 576
  store <16 x float> %t.321, ptr %p.322, align 16
  %t.323 = load <16 x float>, ptr %v.11
  %p.324 = getelementptr i8, ptr %tile, i64 640
  store <16 x float> %t.323, ptr %p.324, align 16
  %t.325 = load <16 x float>, ptr %v.12
  %p.326 = getelementptr i8, ptr %tile, i64 704
  store <16 x float> %t.325, ptr %p.326, align 16
  %t.327 = load <16 x float>, ptr %v.13
  %p.328 = getelementptr i8, ptr %tile, i64 768
  store <16 x float> %t.327, ptr %p.328, align 16
  %t.329 = load <16 x float>, ptr %v.14
  %p.330 = getelementptr i8, ptr %tile, i64 832
  store <16 x float> %t.329, ptr %p.330, align 16
  %t.331 = load <16 x float>, ptr %v.15
  %p.332 = getelementptr i8, ptr %tile, i64 896
  store <16 x float> %t.331, ptr %p.332, align 16
  %t.333 = load <16 x float>, ptr %v.16
  %p.334 = getelementptr i8, ptr %tile, i64 960
  store <16 x float> %t.333, ptr %p.334, align 16
  %t.335 = load <16 x float>, ptr %v.17
  %p.336 = getelementptr i8, ptr %tile, i64 1024
  store <16 x float> %t.335, ptr %p.336, align 16
  %t.337 = load <16 x float>, ptr %v.18
  %p.338 = getelementptr i8, ptr %tile, i64 1088
  store <16 x float> %t.337, ptr %p.338, align 16
  %t.339 = load <16 x float>, ptr %v.19
  %p.340 = getelementptr i8, ptr %tile, i64 1152
  store <16 x float> %t.339, ptr %p.340, align 16
  %t.341 = load <16 x float>, ptr %v.20
  %p.342 = getelementptr i8, ptr %tile, i64 1216
  store <16 x float> %t.341, ptr %p.342, align 16
  %t.343 = load <16 x float>, ptr %v.21
  %p.344 = getelementptr i8, ptr %tile, i64 1280
  store <16 x float> %t.343, ptr %p.344, align 16
  %t.345 = load <16 x float>, ptr %v.22
  %p.346 = getelementptr i8, ptr %tile, i64 1344
  store <16 x float> %t.345, ptr %p.346, align 16
  %t.347 = load <16 x float>, ptr %v.23
  %p.348 = getelementptr i8, ptr %tile, i64 1408
  store <16 x float> %t.347, ptr %p.348, align 16
  %t.349 = load <16 x float>, ptr %v.24
  %p.350 = getelementptr i8, ptr %tile, i64 1472
  store <16 x float> %t.349, ptr %p.350, align 16
  %t.351 = load <16 x float>, ptr %v.25
  %p.352 = getelementptr i8, ptr %tile, i64 1536
  store <16 x float> %t.351, ptr %p.352, align 16
  %t.353 = load <16 x float>, ptr %v.26
  %p.354 = getelementptr i8, ptr %tile, i64 1600
  store <16 x float> %t.353, ptr %p.354, align 16
  %t.355 = load <16 x float>, ptr %v.27
  %p.356 = getelementptr i8, ptr %tile, i64 1664
  store <16 x float> %t.355, ptr %p.356, align 16
  %t.357 = load <16 x float>, ptr %v.28
  %p.358 = getelementptr i8, ptr %tile, i64 1728
  store <16 x float> %t.357, ptr %p.358, align 16
  ret void
}
