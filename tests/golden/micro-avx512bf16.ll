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
  %t.57 = add i64 %depth, 1
  %t.58 = udiv i64 %t.57, 2
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
  %t.81 = bitcast <16 x float> %t.79 to <32 x bfloat>
  %t.82 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.83 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.80, <32 x bfloat> %t.81, <32 x bfloat> %t.82)
  store <16 x float> %t.83, ptr %v.1
  %t.84 = load <16 x float>, ptr %v.2
  %t.85 = bitcast <16 x float> %t.79 to <32 x bfloat>
  %t.86 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.87 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.84, <32 x bfloat> %t.85, <32 x bfloat> %t.86)
  store <16 x float> %t.87, ptr %v.2
  %p.88 = getelementptr i8, ptr %p.66, i64 4
  %t.89 = load float, ptr %p.88, align 4
  %t.90 = insertelement <16 x float> poison, float %t.89, i32 0
  %t.91 = shufflevector <16 x float> %t.90, <16 x float> poison, <16 x i32> zeroinitializer
  %t.92 = load <16 x float>, ptr %v.3
  %t.93 = bitcast <16 x float> %t.91 to <32 x bfloat>
  %t.94 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.95 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.92, <32 x bfloat> %t.93, <32 x bfloat> %t.94)
  store <16 x float> %t.95, ptr %v.3
  %t.96 = load <16 x float>, ptr %v.4
  %t.97 = bitcast <16 x float> %t.91 to <32 x bfloat>
  %t.98 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.99 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.96, <32 x bfloat> %t.97, <32 x bfloat> %t.98)
  store <16 x float> %t.99, ptr %v.4
  %p.100 = getelementptr i8, ptr %p.66, i64 8
  %t.101 = load float, ptr %p.100, align 4
  %t.102 = insertelement <16 x float> poison, float %t.101, i32 0
  %t.103 = shufflevector <16 x float> %t.102, <16 x float> poison, <16 x i32> zeroinitializer
  %t.104 = load <16 x float>, ptr %v.5
  %t.105 = bitcast <16 x float> %t.103 to <32 x bfloat>
  %t.106 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.107 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.104, <32 x bfloat> %t.105, <32 x bfloat> %t.106)
  store <16 x float> %t.107, ptr %v.5
  %t.108 = load <16 x float>, ptr %v.6
  %t.109 = bitcast <16 x float> %t.103 to <32 x bfloat>
  %t.110 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.111 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.108, <32 x bfloat> %t.109, <32 x bfloat> %t.110)
  store <16 x float> %t.111, ptr %v.6
  %p.112 = getelementptr i8, ptr %p.66, i64 12
  %t.113 = load float, ptr %p.112, align 4
  %t.114 = insertelement <16 x float> poison, float %t.113, i32 0
  %t.115 = shufflevector <16 x float> %t.114, <16 x float> poison, <16 x i32> zeroinitializer
  %t.116 = load <16 x float>, ptr %v.7
  %t.117 = bitcast <16 x float> %t.115 to <32 x bfloat>
  %t.118 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.119 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.116, <32 x bfloat> %t.117, <32 x bfloat> %t.118)
  store <16 x float> %t.119, ptr %v.7
  %t.120 = load <16 x float>, ptr %v.8
  %t.121 = bitcast <16 x float> %t.115 to <32 x bfloat>
  %t.122 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.123 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.120, <32 x bfloat> %t.121, <32 x bfloat> %t.122)
  store <16 x float> %t.123, ptr %v.8
  %p.124 = getelementptr i8, ptr %p.66, i64 16
  %t.125 = load float, ptr %p.124, align 4
  %t.126 = insertelement <16 x float> poison, float %t.125, i32 0
  %t.127 = shufflevector <16 x float> %t.126, <16 x float> poison, <16 x i32> zeroinitializer
  %t.128 = load <16 x float>, ptr %v.9
  %t.129 = bitcast <16 x float> %t.127 to <32 x bfloat>
  %t.130 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.131 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.128, <32 x bfloat> %t.129, <32 x bfloat> %t.130)
  store <16 x float> %t.131, ptr %v.9
  %t.132 = load <16 x float>, ptr %v.10
  %t.133 = bitcast <16 x float> %t.127 to <32 x bfloat>
  %t.134 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.135 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.132, <32 x bfloat> %t.133, <32 x bfloat> %t.134)
  store <16 x float> %t.135, ptr %v.10
  %p.136 = getelementptr i8, ptr %p.66, i64 20
  %t.137 = load float, ptr %p.136, align 4
  %t.138 = insertelement <16 x float> poison, float %t.137, i32 0
  %t.139 = shufflevector <16 x float> %t.138, <16 x float> poison, <16 x i32> zeroinitializer
  %t.140 = load <16 x float>, ptr %v.11
  %t.141 = bitcast <16 x float> %t.139 to <32 x bfloat>
  %t.142 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.143 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.140, <32 x bfloat> %t.141, <32 x bfloat> %t.142)
  store <16 x float> %t.143, ptr %v.11
  %t.144 = load <16 x float>, ptr %v.12
  %t.145 = bitcast <16 x float> %t.139 to <32 x bfloat>
  %t.146 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.147 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.144, <32 x bfloat> %t.145, <32 x bfloat> %t.146)
  store <16 x float> %t.147, ptr %v.12
  %p.148 = getelementptr i8, ptr %p.66, i64 24
  %t.149 = load float, ptr %p.148, align 4
  %t.150 = insertelement <16 x float> poison, float %t.149, i32 0
  %t.151 = shufflevector <16 x float> %t.150, <16 x float> poison, <16 x i32> zeroinitializer
  %t.152 = load <16 x float>, ptr %v.13
  %t.153 = bitcast <16 x float> %t.151 to <32 x bfloat>
  %t.154 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.155 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.152, <32 x bfloat> %t.153, <32 x bfloat> %t.154)
  store <16 x float> %t.155, ptr %v.13
  %t.156 = load <16 x float>, ptr %v.14
  %t.157 = bitcast <16 x float> %t.151 to <32 x bfloat>
  %t.158 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.159 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.156, <32 x bfloat> %t.157, <32 x bfloat> %t.158)
  store <16 x float> %t.159, ptr %v.14
  %p.160 = getelementptr i8, ptr %p.66, i64 28
  %t.161 = load float, ptr %p.160, align 4
  %t.162 = insertelement <16 x float> poison, float %t.161, i32 0
  %t.163 = shufflevector <16 x float> %t.162, <16 x float> poison, <16 x i32> zeroinitializer
  %t.164 = load <16 x float>, ptr %v.15
  %t.165 = bitcast <16 x float> %t.163 to <32 x bfloat>
  %t.166 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.167 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.164, <32 x bfloat> %t.165, <32 x bfloat> %t.166)
  store <16 x float> %t.167, ptr %v.15
  %t.168 = load <16 x float>, ptr %v.16
  %t.169 = bitcast <16 x float> %t.163 to <32 x bfloat>
  %t.170 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.171 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.168, <32 x bfloat> %t.169, <32 x bfloat> %t.170)
  store <16 x float> %t.171, ptr %v.16
  %p.172 = getelementptr i8, ptr %p.66, i64 32
  %t.173 = load float, ptr %p.172, align 4
  %t.174 = insertelement <16 x float> poison, float %t.173, i32 0
  %t.175 = shufflevector <16 x float> %t.174, <16 x float> poison, <16 x i32> zeroinitializer
  %t.176 = load <16 x float>, ptr %v.17
  %t.177 = bitcast <16 x float> %t.175 to <32 x bfloat>
  %t.178 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.179 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.176, <32 x bfloat> %t.177, <32 x bfloat> %t.178)
  store <16 x float> %t.179, ptr %v.17
  %t.180 = load <16 x float>, ptr %v.18
  %t.181 = bitcast <16 x float> %t.175 to <32 x bfloat>
  %t.182 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.183 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.180, <32 x bfloat> %t.181, <32 x bfloat> %t.182)
  store <16 x float> %t.183, ptr %v.18
  %p.184 = getelementptr i8, ptr %p.66, i64 36
  %t.185 = load float, ptr %p.184, align 4
  %t.186 = insertelement <16 x float> poison, float %t.185, i32 0
  %t.187 = shufflevector <16 x float> %t.186, <16 x float> poison, <16 x i32> zeroinitializer
  %t.188 = load <16 x float>, ptr %v.19
  %t.189 = bitcast <16 x float> %t.187 to <32 x bfloat>
  %t.190 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.191 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.188, <32 x bfloat> %t.189, <32 x bfloat> %t.190)
  store <16 x float> %t.191, ptr %v.19
  %t.192 = load <16 x float>, ptr %v.20
  %t.193 = bitcast <16 x float> %t.187 to <32 x bfloat>
  %t.194 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.195 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.192, <32 x bfloat> %t.193, <32 x bfloat> %t.194)
  store <16 x float> %t.195, ptr %v.20
  %p.196 = getelementptr i8, ptr %p.66, i64 40
  %t.197 = load float, ptr %p.196, align 4
  %t.198 = insertelement <16 x float> poison, float %t.197, i32 0
  %t.199 = shufflevector <16 x float> %t.198, <16 x float> poison, <16 x i32> zeroinitializer
  %t.200 = load <16 x float>, ptr %v.21
  %t.201 = bitcast <16 x float> %t.199 to <32 x bfloat>
  %t.202 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.203 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.200, <32 x bfloat> %t.201, <32 x bfloat> %t.202)
  store <16 x float> %t.203, ptr %v.21
  %t.204 = load <16 x float>, ptr %v.22
  %t.205 = bitcast <16 x float> %t.199 to <32 x bfloat>
  %t.206 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.207 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.204, <32 x bfloat> %t.205, <32 x bfloat> %t.206)
  store <16 x float> %t.207, ptr %v.22
  %p.208 = getelementptr i8, ptr %p.66, i64 44
  %t.209 = load float, ptr %p.208, align 4
  %t.210 = insertelement <16 x float> poison, float %t.209, i32 0
  %t.211 = shufflevector <16 x float> %t.210, <16 x float> poison, <16 x i32> zeroinitializer
  %t.212 = load <16 x float>, ptr %v.23
  %t.213 = bitcast <16 x float> %t.211 to <32 x bfloat>
  %t.214 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.215 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.212, <32 x bfloat> %t.213, <32 x bfloat> %t.214)
  store <16 x float> %t.215, ptr %v.23
  %t.216 = load <16 x float>, ptr %v.24
  %t.217 = bitcast <16 x float> %t.211 to <32 x bfloat>
  %t.218 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.219 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.216, <32 x bfloat> %t.217, <32 x bfloat> %t.218)
  store <16 x float> %t.219, ptr %v.24
  %p.220 = getelementptr i8, ptr %p.66, i64 48
  %t.221 = load float, ptr %p.220, align 4
  %t.222 = insertelement <16 x float> poison, float %t.221, i32 0
  %t.223 = shufflevector <16 x float> %t.222, <16 x float> poison, <16 x i32> zeroinitializer
  %t.224 = load <16 x float>, ptr %v.25
  %t.225 = bitcast <16 x float> %t.223 to <32 x bfloat>
  %t.226 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.227 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.224, <32 x bfloat> %t.225, <32 x bfloat> %t.226)
  store <16 x float> %t.227, ptr %v.25
  %t.228 = load <16 x float>, ptr %v.26
  %t.229 = bitcast <16 x float> %t.223 to <32 x bfloat>
  %t.230 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.231 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.228, <32 x bfloat> %t.229, <32 x bfloat> %t.230)
  store <16 x float> %t.231, ptr %v.26
  %p.232 = getelementptr i8, ptr %p.66, i64 52
  %t.233 = load float, ptr %p.232, align 4
  %t.234 = insertelement <16 x float> poison, float %t.233, i32 0
  %t.235 = shufflevector <16 x float> %t.234, <16 x float> poison, <16 x i32> zeroinitializer
  %t.236 = load <16 x float>, ptr %v.27
  %t.237 = bitcast <16 x float> %t.235 to <32 x bfloat>
  %t.238 = bitcast <16 x float> %t.70 to <32 x bfloat>
  %t.239 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.236, <32 x bfloat> %t.237, <32 x bfloat> %t.238)
  store <16 x float> %t.239, ptr %v.27
  %t.240 = load <16 x float>, ptr %v.28
  %t.241 = bitcast <16 x float> %t.235 to <32 x bfloat>
  %t.242 = bitcast <16 x float> %t.72 to <32 x bfloat>
  %t.243 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.240, <32 x bfloat> %t.241, <32 x bfloat> %t.242)
  store <16 x float> %t.243, ptr %v.28
  %i.63 = add i64 %i.62, 1
  br label %head.59
done.61:
  %t.244 = icmp ne ptr %start, null
  br i1 %t.244, label %then.245, label %done.246
then.245:
  %p.247 = getelementptr i8, ptr %start, i64 0
  %t.248 = load <16 x float>, ptr %p.247, align 16
  %t.249 = load <16 x float>, ptr %v.1
  %t.250 = fadd <16 x float> %t.248, %t.249
  store <16 x float> %t.250, ptr %v.1
  %p.251 = getelementptr i8, ptr %start, i64 64
  %t.252 = load <16 x float>, ptr %p.251, align 16
  %t.253 = load <16 x float>, ptr %v.2
  %t.254 = fadd <16 x float> %t.252, %t.253
  store <16 x float> %t.254, ptr %v.2
  %p.255 = getelementptr i8, ptr %start, i64 128
  %t.256 = load <16 x float>, ptr %p.255, align 16
  %t.257 = load <16 x float>, ptr %v.3
  %t.258 = fadd <16 x float> %t.256, %t.257
  store <16 x float> %t.258, ptr %v.3
  %p.259 = getelementptr i8, ptr %start, i64 192
  %t.260 = load <16 x float>, ptr %p.259, align 16
  %t.261 = load <16 x float>, ptr %v.4
  %t.262 = fadd <16 x float> %t.260, %t.261
  store <16 x float> %t.262, ptr %v.4
  %p.263 = getelementptr i8, ptr %start, i64 256
  %t.264 = load <16 x float>, ptr %p.263, align 16
  %t.265 = load <16 x float>, ptr %v.5
  %t.266 = fadd <16 x float> %t.264, %t.265
  store <16 x float> %t.266, ptr %v.5
  %p.267 = getelementptr i8, ptr %start, i64 320
  %t.268 = load <16 x float>, ptr %p.267, align 16
  %t.269 = load <16 x float>, ptr %v.6
  %t.270 = fadd <16 x float> %t.268, %t.269
  store <16 x float> %t.270, ptr %v.6
  %p.271 = getelementptr i8, ptr %start, i64 384
  %t.272 = load <16 x float>, ptr %p.271, align 16
  %t.273 = load <16 x float>, ptr %v.7
  %t.274 = fadd <16 x float> %t.272, %t.273
  store <16 x float> %t.274, ptr %v.7
  %p.275 = getelementptr i8, ptr %start, i64 448
  %t.276 = load <16 x float>, ptr %p.275, align 16
  %t.277 = load <16 x float>, ptr %v.8
  %t.278 = fadd <16 x float> %t.276, %t.277
  store <16 x float> %t.278, ptr %v.8
  %p.279 = getelementptr i8, ptr %start, i64 512
  %t.280 = load <16 x float>, ptr %p.279, align 16
  %t.281 = load <16 x float>, ptr %v.9
  %t.282 = fadd <16 x float> %t.280, %t.281
  store <16 x float> %t.282, ptr %v.9
  %p.283 = getelementptr i8, ptr %start, i64 576
  %t.284 = load <16 x float>, ptr %p.283, align 16
  %t.285 = load <16 x float>, ptr %v.10
  %t.286 = fadd <16 x float> %t.284, %t.285
  store <16 x float> %t.286, ptr %v.10
  %p.287 = getelementptr i8, ptr %start, i64 640
  %t.288 = load <16 x float>, ptr %p.287, align 16
  %t.289 = load <16 x float>, ptr %v.11
  %t.290 = fadd <16 x float> %t.288, %t.289
  store <16 x float> %t.290, ptr %v.11
  %p.291 = getelementptr i8, ptr %start, i64 704
  %t.292 = load <16 x float>, ptr %p.291, align 16
  %t.293 = load <16 x float>, ptr %v.12
  %t.294 = fadd <16 x float> %t.292, %t.293
  store <16 x float> %t.294, ptr %v.12
  %p.295 = getelementptr i8, ptr %start, i64 768
  %t.296 = load <16 x float>, ptr %p.295, align 16
  %t.297 = load <16 x float>, ptr %v.13
  %t.298 = fadd <16 x float> %t.296, %t.297
  store <16 x float> %t.298, ptr %v.13
  %p.299 = getelementptr i8, ptr %start, i64 832
  %t.300 = load <16 x float>, ptr %p.299, align 16
  %t.301 = load <16 x float>, ptr %v.14
  %t.302 = fadd <16 x float> %t.300, %t.301
  store <16 x float> %t.302, ptr %v.14
  %p.303 = getelementptr i8, ptr %start, i64 896
  %t.304 = load <16 x float>, ptr %p.303, align 16
  %t.305 = load <16 x float>, ptr %v.15
  %t.306 = fadd <16 x float> %t.304, %t.305
  store <16 x float> %t.306, ptr %v.15
  %p.307 = getelementptr i8, ptr %start, i64 960
  %t.308 = load <16 x float>, ptr %p.307, align 16
  %t.309 = load <16 x float>, ptr %v.16
  %t.310 = fadd <16 x float> %t.308, %t.309
  store <16 x float> %t.310, ptr %v.16
  %p.311 = getelementptr i8, ptr %start, i64 1024
  %t.312 = load <16 x float>, ptr %p.311, align 16
  %t.313 = load <16 x float>, ptr %v.17
  %t.314 = fadd <16 x float> %t.312, %t.313
  store <16 x float> %t.314, ptr %v.17
  %p.315 = getelementptr i8, ptr %start, i64 1088
  %t.316 = load <16 x float>, ptr %p.315, align 16
  %t.317 = load <16 x float>, ptr %v.18
  %t.318 = fadd <16 x float> %t.316, %t.317
  store <16 x float> %t.318, ptr %v.18
  %p.319 = getelementptr i8, ptr %start, i64 1152
  %t.320 = load <16 x float>, ptr %p.319, align 16
  %t.321 = load <16 x float>, ptr %v.19
  %t.322 = fadd <16 x float> %t.320, %t.321
  store <16 x float> %t.322, ptr %v.19
  %p.323 = getelementptr i8, ptr %start, i64 1216
  %t.324 = load <16 x float>, ptr %p.323, align 16
  %t.325 = load <16 x float>, ptr %v.20
  %t.326 = fadd <16 x float> %t.324, %t.325
  store <16 x float> %t.326, ptr %v.20
  %p.327 = getelementptr i8, ptr %start, i64 1280
  %t.328 = load <16 x float>, ptr %p.327, align 16
  %t.329 = load <16 x float>, ptr %v.21
  %t.330 = fadd <16 x float> %t.328, %t.329
  store <16 x float> %t.330, ptr %v.21
  %p.331 = getelementptr i8, ptr %start, i64 1344
  %t.332 = load <16 x float>, ptr %p.331, align 16
  %t.333 = load <16 x float>, ptr %v.22
  %t.334 = fadd <16 x float> %t.332, %t.333
  store <16 x float> %t.334, ptr %v.22
  %p.335 = getelementptr i8, ptr %start, i64 1408
  %t.336 = load <16 x float>, ptr %p.335, align 16
  %t.337 = load <16 x float>, ptr %v.23
  %t.338 = fadd <16 x float> %t.336, %t.337
  store <16 x float> %t.338, ptr %v.23
  %p.339 = getelementptr i8, ptr %start, i64 1472
  %t.340 = load <16 x float>, ptr %p.339, align 16
  %t.341 = load <16 x float>, ptr %v.24
  %t.342 = fadd <16 x float> %t.340, %t.341
  store <16 x float> %t.342, ptr %v.24
  %p.343 = getelementptr i8, ptr %start, i64 1536
  %t.344 = load <16 x float>, ptr %p.343, align 16
  %t.345 = load <16 x float>, ptr %v.25
  %t.346 = fadd <16 x float> %t.344, %t.345
  store <16 x float> %t.346, ptr %v.25
  %p.347 = getelementptr i8, ptr %start, i64 1600
  %t.348 = load <16 x float>, ptr %p.347, align 16
  %t.349 = load <16 x float>, ptr %v.26
  %t.350 = fadd <16 x float> %t.348, %t.349
  store <16 x float> %t.350, ptr %v.26
  %p.351 = getelementptr i8, ptr %start, i64 1664
  %t.352 = load <16 x float>, ptr %p.351, align 16
  %t.353 = load <16 x float>, ptr %v.27
  %t.354 = fadd <16 x float> %t.352, %t.353
  store <16 x float> %t.354, ptr %v.27
  %p.355 = getelementptr i8, ptr %start, i64 1728
  %t.356 = load <16 x float>, ptr %p.355, align 16
  %t.357 = load <16 x float>, ptr %v.28
  %t.358 = fadd <16 x float> %t.356, %t.357
  store <16 x float> %t.358, ptr %v.28
  br label %done.246
done.246:
  %t.359 = load <16 x float>, ptr %v.1
  %p.360 = getelementptr i8, ptr %tile, i64 0
  store <16 x float> %t.359, ptr %p.360, align 16
  %t.361 = load <16 x float>, ptr %v.2
  %p.362 = getelementptr i8, ptr %tile, i64 64
  store <16 x float> %t.361, ptr %p.362, align 16
  %t.363 = load <16 x float>, ptr %v.3
  %p.364 = getelementptr i8, ptr %tile, i64 128
  store <16 x float> %t.363, ptr %p.364, align 16
  %t.365 = load <16 x float>, ptr %v.4
  %p.366 = getelementptr i8, ptr %tile, i64 192
  store <16 x float> %t.365, ptr %p.366, align 16
  %t.367 = load <16 x float>, ptr %v.5
  %p.368 = getelementptr i8, ptr %tile, i64 256
  store <16 x float> %t.367, ptr %p.368, align 16
  %t.369 = load <16 x float>, ptr %v.6
  %p.370 = getelementptr i8, ptr %tile, i64 320
  store <16 x float> %t.369, ptr %p.370, align 16
  %t.371 = load <16 x float>, ptr %v.7
  %p.372 = getelementptr i8, ptr %tile, i64 384
  store <16 x float> %t.371, ptr %p.372, align 16
  %t.373 = load <16 x float>, ptr %v.8
  %p.374 = getelementptr i8, ptr %tile, i64 448
  store <16 x float> %t.373, ptr %p.374, align 16
  %t.375 = load <16 x float>, ptr %v.9
  %p.376 = getelementptr i8, ptr %tile, i64 512
  store <16 x float> %t.375, ptr %p.376, align 16
  %t.377 = load <16 x float>, ptr %v.10
  %p.378 = getelementptr i8, ptr %tile, i64 576
  store <16 x float> %t.377, ptr %p.378, align 16
  %t.379 = load <16 x float>, ptr %v.11
  %p.380 = getelementptr i8, ptr %tile, i64 640
  store <16 x float> %t.379, ptr %p.380, align 16
  %t.381 = load <16 x float>, ptr %v.12
  %p.382 = getelementptr i8, ptr %tile, i64 704
  store <16 x float> %t.381, ptr %p.382, align 16
  %t.383 = load <16 x float>, ptr %v.13
  %p.384 = getelementptr i8, ptr %tile, i64 768
  store <16 x float> %t.383, ptr %p.384, align 16
  %t.385 = load <16 x float>, ptr %v.14
  %p.386 = getelementptr i8, ptr %tile, i64 832
  store <16 x float> %t.385, ptr %p.386, align 16
  %t.387 = load <16 x float>, ptr %v.15
  %p.388 = getelementptr i8, ptr %tile, i64 896
  store <16 x float> %t.387, ptr %p.388, align 16
  %t.389 = load <16 x float>, ptr %v.16
  %p.390 = getelementptr i8, ptr %tile, i64 960
  store <16 x float> %t.389, ptr %p.390, align 16
  %t.391 = load <16 x float>, ptr %v.17
  %p.392 = getelementptr i8, ptr %tile, i64 1024
  store <16 x float> %t.391, ptr %p.392, align 16
  %t.393 = load <16 x float>, ptr %v.18
  %p.394 = getelementptr i8, ptr %tile, i64 1088
  store <16 x float> %t.393, ptr %p.394, align 16
  %t.395 = load <16 x float>, ptr %v.19
  %p.396 = getelementptr i8, ptr %tile, i64 1152
  store <16 x float> %t.395, ptr %p.396, align 16
  %t.397 = load <16 x float>, ptr %v.20
  %p.398 = getelementptr i8, ptr %tile, i64 1216
  store <16 x float> %t.397, ptr %p.398, align 16
  %t.399 = load <16 x float>, ptr %v.21
  %p.400 = getelementptr i8, ptr %tile, i64 1280
  store <16 x float> %t.399, ptr %p.400, align 16
  %t.401 = load <16 x float>, ptr %v.22
  %p.402 = getelementptr i8, ptr %tile, i64 1344
  store <16 x float> %t.401, ptr %p.402, align 16
  %t.403 = load <16 x float>, ptr %v.23
  %p.404 = getelementptr i8, ptr %tile, i64 1408
  store <16 x float> %t.403, ptr %p.404, align 16
  %t.405 = load <16 x float>, ptr %v.24
  %p.406 = getelementptr i8, ptr %tile, i64 1472
  store <16 x float> %t.405, ptr %p.406, align 16
  %t.407 = load <16 x float>, ptr %v.25
  %p.408 = getelementptr i8, ptr %tile, i64 1536
  store <16 x float> %t.407, ptr %p.408, align 16
  %t.409 = load <16 x float>, ptr %v.26
  %p.410 = getelementptr i8, ptr %tile, i64 1600
  store <16 x float> %t.409, ptr %p.410, align 16
  %t.411 = load <16 x float>, ptr %v.27
  %p.412 = getelementptr i8, ptr %tile, i64 1664
  store <16 x float> %t.411, ptr %p.412, align 16
  %t.413 = load <16 x float>, ptr %v.28
  %p.414 = getelementptr i8, ptr %tile, i64 1728
  store <16 x float> %t.413, ptr %p.414, align 16
  ret void
}
