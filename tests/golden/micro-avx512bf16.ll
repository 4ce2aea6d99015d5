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
  %t.57 = add i64 %depth, 1
  %t.58 = udiv i64 %t.57, 2
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
  %t.84 = bitcast <16 x float> %t.82 to <32 x bfloat>
  %t.85 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.86 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.83, <32 x bfloat> %t.84, <32 x bfloat> %t.85)
  store <16 x float> %t.86, ptr %v.1
  %t.87 = load <16 x float>, ptr %v.2
  %t.88 = bitcast <16 x float> %t.82 to <32 x bfloat>
  %t.89 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.90 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.87, <32 x bfloat> %t.88, <32 x bfloat> %t.89)
  store <16 x float> %t.90, ptr %v.2
  %p.91 = getelementptr i8, ptr %p.70, i64 4
  %t.92 = load float, ptr %p.91, align 4
  %t.93 = insertelement <16 x float> poison, float %t.92, i32 0
  %t.94 = shufflevector <16 x float> %t.93, <16 x float> poison, <16 x i32> zeroinitializer
  %t.95 = load <16 x float>, ptr %v.3
  %t.96 = bitcast <16 x float> %t.94 to <32 x bfloat>
  %t.97 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.98 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.95, <32 x bfloat> %t.96, <32 x bfloat> %t.97)
  store <16 x float> %t.98, ptr %v.3
  %t.99 = load <16 x float>, ptr %v.4
  %t.100 = bitcast <16 x float> %t.94 to <32 x bfloat>
  %t.101 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.102 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.99, <32 x bfloat> %t.100, <32 x bfloat> %t.101)
  store <16 x float> %t.102, ptr %v.4
  %p.103 = getelementptr i8, ptr %p.70, i64 8
  %t.104 = load float, ptr %p.103, align 4
  %t.105 = insertelement <16 x float> poison, float %t.104, i32 0
  %t.106 = shufflevector <16 x float> %t.105, <16 x float> poison, <16 x i32> zeroinitializer
  %t.107 = load <16 x float>, ptr %v.5
  %t.108 = bitcast <16 x float> %t.106 to <32 x bfloat>
  %t.109 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.110 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.107, <32 x bfloat> %t.108, <32 x bfloat> %t.109)
  store <16 x float> %t.110, ptr %v.5
  %t.111 = load <16 x float>, ptr %v.6
  %t.112 = bitcast <16 x float> %t.106 to <32 x bfloat>
  %t.113 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.114 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.111, <32 x bfloat> %t.112, <32 x bfloat> %t.113)
  store <16 x float> %t.114, ptr %v.6
  %p.115 = getelementptr i8, ptr %p.70, i64 12
  %t.116 = load float, ptr %p.115, align 4
  %t.117 = insertelement <16 x float> poison, float %t.116, i32 0
  %t.118 = shufflevector <16 x float> %t.117, <16 x float> poison, <16 x i32> zeroinitializer
  %t.119 = load <16 x float>, ptr %v.7
  %t.120 = bitcast <16 x float> %t.118 to <32 x bfloat>
  %t.121 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.122 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.119, <32 x bfloat> %t.120, <32 x bfloat> %t.121)
  store <16 x float> %t.122, ptr %v.7
  %t.123 = load <16 x float>, ptr %v.8
  %t.124 = bitcast <16 x float> %t.118 to <32 x bfloat>
  %t.125 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.126 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.123, <32 x bfloat> %t.124, <32 x bfloat> %t.125)
  store <16 x float> %t.126, ptr %v.8
  %p.127 = getelementptr i8, ptr %p.70, i64 16
  %t.128 = load float, ptr %p.127, align 4
  %t.129 = insertelement <16 x float> poison, float %t.128, i32 0
  %t.130 = shufflevector <16 x float> %t.129, <16 x float> poison, <16 x i32> zeroinitializer
  %t.131 = load <16 x float>, ptr %v.9
  %t.132 = bitcast <16 x float> %t.130 to <32 x bfloat>
  %t.133 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.134 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.131, <32 x bfloat> %t.132, <32 x bfloat> %t.133)
  store <16 x float> %t.134, ptr %v.9
  %t.135 = load <16 x float>, ptr %v.10
  %t.136 = bitcast <16 x float> %t.130 to <32 x bfloat>
  %t.137 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.138 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.135, <32 x bfloat> %t.136, <32 x bfloat> %t.137)
  store <16 x float> %t.138, ptr %v.10
  %p.139 = getelementptr i8, ptr %p.70, i64 20
  %t.140 = load float, ptr %p.139, align 4
  %t.141 = insertelement <16 x float> poison, float %t.140, i32 0
  %t.142 = shufflevector <16 x float> %t.141, <16 x float> poison, <16 x i32> zeroinitializer
  %t.143 = load <16 x float>, ptr %v.11
  %t.144 = bitcast <16 x float> %t.142 to <32 x bfloat>
  %t.145 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.146 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.143, <32 x bfloat> %t.144, <32 x bfloat> %t.145)
  store <16 x float> %t.146, ptr %v.11
  %t.147 = load <16 x float>, ptr %v.12
  %t.148 = bitcast <16 x float> %t.142 to <32 x bfloat>
  %t.149 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.150 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.147, <32 x bfloat> %t.148, <32 x bfloat> %t.149)
  store <16 x float> %t.150, ptr %v.12
  %p.151 = getelementptr i8, ptr %p.70, i64 24
  %t.152 = load float, ptr %p.151, align 4
  %t.153 = insertelement <16 x float> poison, float %t.152, i32 0
  %t.154 = shufflevector <16 x float> %t.153, <16 x float> poison, <16 x i32> zeroinitializer
  %t.155 = load <16 x float>, ptr %v.13
  %t.156 = bitcast <16 x float> %t.154 to <32 x bfloat>
  %t.157 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.158 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.155, <32 x bfloat> %t.156, <32 x bfloat> %t.157)
  store <16 x float> %t.158, ptr %v.13
  %t.159 = load <16 x float>, ptr %v.14
  %t.160 = bitcast <16 x float> %t.154 to <32 x bfloat>
  %t.161 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.162 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.159, <32 x bfloat> %t.160, <32 x bfloat> %t.161)
  store <16 x float> %t.162, ptr %v.14
  %p.163 = getelementptr i8, ptr %p.70, i64 28
  %t.164 = load float, ptr %p.163, align 4
  %t.165 = insertelement <16 x float> poison, float %t.164, i32 0
  %t.166 = shufflevector <16 x float> %t.165, <16 x float> poison, <16 x i32> zeroinitializer
  %t.167 = load <16 x float>, ptr %v.15
  %t.168 = bitcast <16 x float> %t.166 to <32 x bfloat>
  %t.169 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.170 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.167, <32 x bfloat> %t.168, <32 x bfloat> %t.169)
  store <16 x float> %t.170, ptr %v.15
  %t.171 = load <16 x float>, ptr %v.16
  %t.172 = bitcast <16 x float> %t.166 to <32 x bfloat>
  %t.173 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.174 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.171, <32 x bfloat> %t.172, <32 x bfloat> %t.173)
  store <16 x float> %t.174, ptr %v.16
  %p.175 = getelementptr i8, ptr %p.70, i64 32
  %t.176 = load float, ptr %p.175, align 4
  %t.177 = insertelement <16 x float> poison, float %t.176, i32 0
  %t.178 = shufflevector <16 x float> %t.177, <16 x float> poison, <16 x i32> zeroinitializer
  %t.179 = load <16 x float>, ptr %v.17
  %t.180 = bitcast <16 x float> %t.178 to <32 x bfloat>
  %t.181 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.182 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.179, <32 x bfloat> %t.180, <32 x bfloat> %t.181)
  store <16 x float> %t.182, ptr %v.17
  %t.183 = load <16 x float>, ptr %v.18
  %t.184 = bitcast <16 x float> %t.178 to <32 x bfloat>
  %t.185 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.186 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.183, <32 x bfloat> %t.184, <32 x bfloat> %t.185)
  store <16 x float> %t.186, ptr %v.18
  %p.187 = getelementptr i8, ptr %p.70, i64 36
  %t.188 = load float, ptr %p.187, align 4
  %t.189 = insertelement <16 x float> poison, float %t.188, i32 0
  %t.190 = shufflevector <16 x float> %t.189, <16 x float> poison, <16 x i32> zeroinitializer
  %t.191 = load <16 x float>, ptr %v.19
  %t.192 = bitcast <16 x float> %t.190 to <32 x bfloat>
  %t.193 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.194 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.191, <32 x bfloat> %t.192, <32 x bfloat> %t.193)
  store <16 x float> %t.194, ptr %v.19
  %t.195 = load <16 x float>, ptr %v.20
  %t.196 = bitcast <16 x float> %t.190 to <32 x bfloat>
  %t.197 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.198 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.195, <32 x bfloat> %t.196, <32 x bfloat> %t.197)
  store <16 x float> %t.198, ptr %v.20
  %p.199 = getelementptr i8, ptr %p.70, i64 40
  %t.200 = load float, ptr %p.199, align 4
  %t.201 = insertelement <16 x float> poison, float %t.200, i32 0
  %t.202 = shufflevector <16 x float> %t.201, <16 x float> poison, <16 x i32> zeroinitializer
  %t.203 = load <16 x float>, ptr %v.21
  %t.204 = bitcast <16 x float> %t.202 to <32 x bfloat>
  %t.205 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.206 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.203, <32 x bfloat> %t.204, <32 x bfloat> %t.205)
  store <16 x float> %t.206, ptr %v.21
  %t.207 = load <16 x float>, ptr %v.22
  %t.208 = bitcast <16 x float> %t.202 to <32 x bfloat>
  %t.209 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.210 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.207, <32 x bfloat> %t.208, <32 x bfloat> %t.209)
  store <16 x float> %t.210, ptr %v.22
  %p.211 = getelementptr i8, ptr %p.70, i64 44
  %t.212 = load float, ptr %p.211, align 4
  %t.213 = insertelement <16 x float> poison, float %t.212, i32 0
  %t.214 = shufflevector <16 x float> %t.213, <16 x float> poison, <16 x i32> zeroinitializer
  %t.215 = load <16 x float>, ptr %v.23
  %t.216 = bitcast <16 x float> %t.214 to <32 x bfloat>
  %t.217 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.218 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.215, <32 x bfloat> %t.216, <32 x bfloat> %t.217)
  store <16 x float> %t.218, ptr %v.23
  %t.219 = load <16 x float>, ptr %v.24
  %t.220 = bitcast <16 x float> %t.214 to <32 x bfloat>
  %t.221 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.222 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.219, <32 x bfloat> %t.220, <32 x bfloat> %t.221)
  store <16 x float> %t.222, ptr %v.24
  %p.223 = getelementptr i8, ptr %p.70, i64 48
  %t.224 = load float, ptr %p.223, align 4
  %t.225 = insertelement <16 x float> poison, float %t.224, i32 0
  %t.226 = shufflevector <16 x float> %t.225, <16 x float> poison, <16 x i32> zeroinitializer
  %t.227 = load <16 x float>, ptr %v.25
  %t.228 = bitcast <16 x float> %t.226 to <32 x bfloat>
  %t.229 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.230 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.227, <32 x bfloat> %t.228, <32 x bfloat> %t.229)
  store <16 x float> %t.230, ptr %v.25
  %t.231 = load <16 x float>, ptr %v.26
  %t.232 = bitcast <16 x float> %t.226 to <32 x bfloat>
  %t.233 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.234 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.231, <32 x bfloat> %t.232, <32 x bfloat> %t.233)
  store <16 x float> %t.234, ptr %v.26
  %p.235 = getelementptr i8, ptr %p.70, i64 52
  %t.236 = load float, ptr %p.235, align 4
  %t.237 = insertelement <16 x float> poison, float %t.236, i32 0
  %t.238 = shufflevector <16 x float> %t.237, <16 x float> poison, <16 x i32> zeroinitializer
  %t.239 = load <16 x float>, ptr %v.27
  %t.240 = bitcast <16 x float> %t.238 to <32 x bfloat>
  %t.241 = bitcast <16 x float> %t.75 to <32 x bfloat>
  %t.242 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.239, <32 x bfloat> %t.240, <32 x bfloat> %t.241)
  store <16 x float> %t.242, ptr %v.27
  %t.243 = load <16 x float>, ptr %v.28
  %t.244 = bitcast <16 x float> %t.238 to <32 x bfloat>
  %t.245 = bitcast <16 x float> %t.77 to <32 x bfloat>
  %t.246 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.243, <32 x bfloat> %t.244, <32 x bfloat> %t.245)
  store <16 x float> %t.246, ptr %v.28
  %t.247 = mul i64 %i.62, 56
  %t.248 = add i64 %t.247, 56
  %p.249 = getelementptr i8, ptr %a, i64 %t.248
  %t.250 = mul i64 %i.62, 128
  %t.251 = add i64 %t.250, 128
  %p.252 = getelementptr i8, ptr %b, i64 %t.251
  %p.253 = getelementptr i8, ptr %p.252, i64 0
  %t.254 = load <16 x float>, ptr %p.253, align 16
  %p.255 = getelementptr i8, ptr %p.252, i64 64
  %t.256 = load <16 x float>, ptr %p.255, align 16
  %p.257 = getelementptr i8, ptr %p.249, i64 1792
  call void @llvm.prefetch.p0(ptr %p.257, i32 0, i32 3, i32 1)
  %p.258 = getelementptr i8, ptr %p.249, i64 0
  %t.259 = load float, ptr %p.258, align 4
  %t.260 = insertelement <16 x float> poison, float %t.259, i32 0
  %t.261 = shufflevector <16 x float> %t.260, <16 x float> poison, <16 x i32> zeroinitializer
  %t.262 = load <16 x float>, ptr %v.1
  %t.263 = bitcast <16 x float> %t.261 to <32 x bfloat>
  %t.264 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.265 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.262, <32 x bfloat> %t.263, <32 x bfloat> %t.264)
  store <16 x float> %t.265, ptr %v.1
  %t.266 = load <16 x float>, ptr %v.2
  %t.267 = bitcast <16 x float> %t.261 to <32 x bfloat>
  %t.268 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.269 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.266, <32 x bfloat> %t.267, <32 x bfloat> %t.268)
  store <16 x float> %t.269, ptr %v.2
  %p.270 = getelementptr i8, ptr %p.249, i64 4
  %t.271 = load float, ptr %p.270, align 4
  %t.272 = insertelement <16 x float> poison, float %t.271, i32 0
  %t.273 = shufflevector <16 x float> %t.272, <16 x float> poison, <16 x i32> zeroinitializer
  %t.274 = load <16 x float>, ptr %v.3
  %t.275 = bitcast <16 x float> %t.273 to <32 x bfloat>
  %t.276 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.277 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.274, <32 x bfloat> %t.275, <32 x bfloat> %t.276)
  store <16 x float> %t.277, ptr %v.3
  %t.278 = load <16 x float>, ptr %v.4
  %t.279 = bitcast <16 x float> %t.273 to <32 x bfloat>
  %t.280 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.281 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.278, <32 x bfloat> %t.279, <32 x bfloat> %t.280)
  store <16 x float> %t.281, ptr %v.4
  %p.282 = getelementptr i8, ptr %p.249, i64 8
  %t.283 = load float, ptr %p.282, align 4
  %t.284 = insertelement <16 x float> poison, float %t.283, i32 0
  %t.285 = shufflevector <16 x float> %t.284, <16 x float> poison, <16 x i32> zeroinitializer
  %t.286 = load <16 x float>, ptr %v.5
  %t.287 = bitcast <16 x float> %t.285 to <32 x bfloat>
  %t.288 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.289 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.286, <32 x bfloat> %t.287, <32 x bfloat> %t.288)
  store <16 x float> %t.289, ptr %v.5
  %t.290 = load <16 x float>, ptr %v.6
  %t.291 = bitcast <16 x float> %t.285 to <32 x bfloat>
  %t.292 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.293 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.290, <32 x bfloat> %t.291, <32 x bfloat> %t.292)
  store <16 x float> %t.293, ptr %v.6
  %p.294 = getelementptr i8, ptr %p.249, i64 12
  %t.295 = load float, ptr %p.294, align 4
  %t.296 = insertelement <16 x float> poison, float %t.295, i32 0
  %t.297 = shufflevector <16 x float> %t.296, <16 x float> poison, <16 x i32> zeroinitializer
  %t.298 = load <16 x float>, ptr %v.7
  %t.299 = bitcast <16 x float> %t.297 to <32 x bfloat>
  %t.300 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.301 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.298, <32 x bfloat> %t.299, <32 x bfloat> %t.300)
  store <16 x float> %t.301, ptr %v.7
  %t.302 = load <16 x float>, ptr %v.8
  %t.303 = bitcast <16 x float> %t.297 to <32 x bfloat>
  %t.304 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.305 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.302, <32 x bfloat> %t.303, <32 x bfloat> %t.304)
  store <16 x float> %t.305, ptr %v.8
  %p.306 = getelementptr i8, ptr %p.249, i64 16
  %t.307 = load float, ptr %p.306, align 4
  %t.308 = insertelement <16 x float> poison, float %t.307, i32 0
  %t.309 = shufflevector <16 x float> %t.308, <16 x float> poison, <16 x i32> zeroinitializer
  %t.310 = load <16 x float>, ptr %v.9
  %t.311 = bitcast <16 x float> %t.309 to <32 x bfloat>
  %t.312 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.313 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.310, <32 x bfloat> %t.311, <32 x bfloat> %t.312)
  store <16 x float> %t.313, ptr %v.9
  %t.314 = load <16 x float>, ptr %v.10
  %t.315 = bitcast <16 x float> %t.309 to <32 x bfloat>
  %t.316 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.317 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.314, <32 x bfloat> %t.315, <32 x bfloat> %t.316)
  store <16 x float> %t.317, ptr %v.10
  %p.318 = getelementptr i8, ptr %p.249, i64 20
  %t.319 = load float, ptr %p.318, align 4
  %t.320 = insertelement <16 x float> poison, float %t.319, i32 0
  %t.321 = shufflevector <16 x float> %t.320, <16 x float> poison, <16 x i32> zeroinitializer
  %t.322 = load <16 x float>, ptr %v.11
  %t.323 = bitcast <16 x float> %t.321 to <32 x bfloat>
  %t.324 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.325 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.322, <32 x bfloat> %t.323, <32 x bfloat> %t.324)
  store <16 x float> %t.325, ptr %v.11
  %t.326 = load <16 x float>, ptr %v.12
  %t.327 = bitcast <16 x float> %t.321 to <32 x bfloat>
  %t.328 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.329 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.326, <32 x bfloat> %t.327, <32 x bfloat> %t.328)
  store <16 x float> %t.329, ptr %v.12
  %p.330 = getelementptr i8, ptr %p.249, i64 24
  %t.331 = load float, ptr %p.330, align 4
  %t.332 = insertelement <16 x float> poison, float %t.331, i32 0
  %t.333 = shufflevector <16 x float> %t.332, <16 x float> poison, <16 x i32> zeroinitializer
  %t.334 = load <16 x float>, ptr %v.13
  %t.335 = bitcast <16 x float> %t.333 to <32 x bfloat>
  %t.336 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.337 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.334, <32 x bfloat> %t.335, <32 x bfloat> %t.336)
  store <16 x float> %t.337, ptr %v.13
  %t.338 = load <16 x float>, ptr %v.14
  %t.339 = bitcast <16 x float> %t.333 to <32 x bfloat>
  %t.340 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.341 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.338, <32 x bfloat> %t.339, <32 x bfloat> %t.340)
  store <16 x float> %t.341, ptr %v.14
  %p.342 = getelementptr i8, ptr %p.249, i64 28
  %t.343 = load float, ptr %p.342, align 4
  %t.344 = insertelement <16 x float> poison, float %t.343, i32 0
  %t.345 = shufflevector <16 x float> %t.344, <16 x float> poison, <16 x i32> zeroinitializer
  %t.346 = load <16 x float>, ptr %v.15
  %t.347 = bitcast <16 x float> %t.345 to <32 x bfloat>
  %t.348 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.349 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.346, <32 x bfloat> %t.347, <32 x bfloat> %t.348)
  store <16 x float> %t.349, ptr %v.15
  %t.350 = load <16 x float>, ptr %v.16
  %t.351 = bitcast <16 x float> %t.345 to <32 x bfloat>
  %t.352 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.353 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.350, <32 x bfloat> %t.351, <32 x bfloat> %t.352)
  store <16 x float> %t.353, ptr %v.16
  %p.354 = getelementptr i8, ptr %p.249, i64 32
  %t.355 = load float, ptr %p.354, align 4
  %t.356 = insertelement <16 x float> poison, float %t.355, i32 0
  %t.357 = shufflevector <16 x float> %t.356, <16 x float> poison, <16 x i32> zeroinitializer
  %t.358 = load <16 x float>, ptr %v.17
  %t.359 = bitcast <16 x float> %t.357 to <32 x bfloat>
  %t.360 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.361 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.358, <32 x bfloat> %t.359, <32 x bfloat> %t.360)
  store <16 x float> %t.361, ptr %v.17
  %t.362 = load <16 x float>, ptr %v.18
  %t.363 = bitcast <16 x float> %t.357 to <32 x bfloat>
  %t.364 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.365 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.362, <32 x bfloat> %t.363, <32 x bfloat> %t.364)
  store <16 x float> %t.365, ptr %v.18
  %p.366 = getelementptr i8, ptr %p.249, i64 36
  %t.367 = load float, ptr %p.366, align 4
  %t.368 = insertelement <16 x float> poison, float %t.367, i32 0
  %t.369 = shufflevector <16 x float> %t.368, <16 x float> poison, <16 x i32> zeroinitializer
  %t.370 = load <16 x float>, ptr %v.19
  %t.371 = bitcast <16 x float> %t.369 to <32 x bfloat>
  %t.372 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.373 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.370, <32 x bfloat> %t.371, <32 x bfloat> %t.372)
  store <16 x float> %t.373, ptr %v.19
  %t.374 = load <16 x float>, ptr %v.20
  %t.375 = bitcast <16 x float> %t.369 to <32 x bfloat>
  %t.376 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.377 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.374, <32 x bfloat> %t.375, <32 x bfloat> %t.376)
  store <16 x float> %t.377, ptr %v.20
  %p.378 = getelementptr i8, ptr %p.249, i64 40
  %t.379 = load float, ptr %p.378, align 4
  %t.380 = insertelement <16 x float> poison, float %t.379, i32 0
  %t.381 = shufflevector <16 x float> %t.380, <16 x float> poison, <16 x i32> zeroinitializer
  %t.382 = load <16 x float>, ptr %v.21
  %t.383 = bitcast <16 x float> %t.381 to <32 x bfloat>
  %t.384 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.385 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.382, <32 x bfloat> %t.383, <32 x bfloat> %t.384)
  store <16 x float> %t.385, ptr %v.21
  %t.386 = load <16 x float>, ptr %v.22
  %t.387 = bitcast <16 x float> %t.381 to <32 x bfloat>
  %t.388 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.389 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.386, <32 x bfloat> %t.387, <32 x bfloat> %t.388)
  store <16 x float> %t.389, ptr %v.22
  %p.390 = getelementptr i8, ptr %p.249, i64 44
  %t.391 = load float, ptr %p.390, align 4
  %t.392 = insertelement <16 x float> poison, float %t.391, i32 0
  %t.393 = shufflevector <16 x float> %t.392, <16 x float> poison, <16 x i32> zeroinitializer
  %t.394 = load <16 x float>, ptr %v.23
  %t.395 = bitcast <16 x float> %t.393 to <32 x bfloat>
  %t.396 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.397 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.394, <32 x bfloat> %t.395, <32 x bfloat> %t.396)
  store <16 x float> %t.397, ptr %v.23
  %t.398 = load <16 x float>, ptr %v.24
  %t.399 = bitcast <16 x float> %t.393 to <32 x bfloat>
  %t.400 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.401 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.398, <32 x bfloat> %t.399, <32 x bfloat> %t.400)
  store <16 x float> %t.401, ptr %v.24
  %p.402 = getelementptr i8, ptr %p.249, i64 48
  %t.403 = load float, ptr %p.402, align 4
  %t.404 = insertelement <16 x float> poison, float %t.403, i32 0
  %t.405 = shufflevector <16 x float> %t.404, <16 x float> poison, <16 x i32> zeroinitializer
  %t.406 = load <16 x float>, ptr %v.25
  %t.407 = bitcast <16 x float> %t.405 to <32 x bfloat>
  %t.408 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.409 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.406, <32 x bfloat> %t.407, <32 x bfloat> %t.408)
  store <16 x float> %t.409, ptr %v.25
  %t.410 = load <16 x float>, ptr %v.26
  %t.411 = bitcast <16 x float> %t.405 to <32 x bfloat>
  %t.412 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.413 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.410, <32 x bfloat> %t.411, <32 x bfloat> %t.412)
  store <16 x float> %t.413, ptr %v.26
  %p.414 = getelementptr i8, ptr %p.249, i64 52
  %t.415 = load float, ptr %p.414, align 4
  %t.416 = insertelement <16 x float> poison, float %t.415, i32 0
  %t.417 = shufflevector <16 x float> %t.416, <16 x float> poison, <16 x i32> zeroinitializer
  %t.418 = load <16 x float>, ptr %v.27
  %t.419 = bitcast <16 x float> %t.417 to <32 x bfloat>
  %t.420 = bitcast <16 x float> %t.254 to <32 x bfloat>
  %t.421 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.418, <32 x bfloat> %t.419, <32 x bfloat> %t.420)
  store <16 x float> %t.421, ptr %v.27
  %t.422 = load <16 x float>, ptr %v.28
  %t.423 = bitcast <16 x float> %t.417 to <32 x bfloat>
  %t.424 = bitcast <16 x float> %t.256 to <32 x bfloat>
  %t.425 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %t.422, <32 x bfloat> %t.423, <32 x bfloat> %t.424)
  store <16 x float> %t.425, ptr %v.28
  %i.63 = add i64 %i.62, 2
  br label %head.59
done.61:
  %t.426 = icmp ne ptr %start, null
  br i1 %t.426, label %then.427, label %done.428
then.427:
  %p.429 = getelementptr i8, ptr %start, i64 0
  %t.430 = load <16 x float>, ptr %p.429, align 16
  %t.431 = load <16 x float>, ptr %v.1
  %t.432 = fadd <16 x float> %t.430, %t.431
  store <16 x float> %t.432, ptr %v.1
  %p.433 = getelementptr i8, ptr %start, i64 64
  %t.434 = load <16 x float>, ptr %p.433, align 16
  %t.435 = load <16 x float>, ptr %v.2
  %t.436 = fadd <16 x float> %t.434, %t.435
  store <16 x float> %t.436, ptr %v.2
  %p.437 = getelementptr i8, ptr %start, i64 128
  %t.438 = load <16 x float>, ptr %p.437, align 16
  %t.439 = load <16 x float>, ptr %v.3
  %t.440 = fadd <16 x float> %t.438, %t.439
  store <16 x float> %t.440, ptr %v.3
  %p.441 = getelementptr i8, ptr %start, i64 192
  %t.442 = load <16 x float>, ptr %p.441, align 16
  %t.443 = load <16 x float>, ptr %v.4
  %t.444 = fadd <16 x float> %t.442, %t.443
  store <16 x float> %t.444, ptr %v.4
  %p.445 = getelementptr i8, ptr %start, i64 256
  %t.446 = load <16 x float>, ptr %p.445, align 16
  %t.447 = load <16 x float>, ptr %v.5
  %t.448 = fadd <16 x float> %t.446, %t.447
  store <16 x float> %t.448, ptr %v.5
  %p.449 = getelementptr i8, ptr %start, i64 320
  %t.450 = load <16 x float>, ptr %p.449, align 16
  %t.451 = load <16 x float>, ptr %v.6
  %t.452 = fadd <16 x float> %t.450, %t.451
  store <16 x float> %t.452, ptr %v.6
  %p.453 = getelementptr i8, ptr %start, i64 384
  %t.454 = load <16 x float>, ptr %p.453, align 16
  %t.455 = load <16 x float>, ptr %v.7
  %t.456 = fadd <16 x float> %t.454, %t.455
  store <16 x float> %t.456, ptr %v.7
  %p.457 = getelementptr i8, ptr %start, i64 448
  %t.458 = load <16 x float>, ptr %p.457, align 16
  %t.459 = load <16 x float>, ptr %v.8
  %t.460 = fadd <16 x float> %t.458, %t.459
  store <16 x float> %t.460, ptr %v.8
  %p.461 = getelementptr i8, ptr %start, i64 512
  %t.462 = load <16 x float>, ptr %p.461, align 16
  %t.463 = load <16 x float>, ptr %v.9
  %t.464 = fadd <16 x float> %t.462, %t.463
  store <16 x float> %t.464, ptr %v.9
  %p.465 = getelementptr i8, ptr %start, i64 576
  %t.466 = load <16 x float>, ptr %p.465, align 16
  %t.467 = load <16 x float>, ptr %v.10
  %t.468 = fadd <16 x float> %t.466, %t.467
  store <16 x float> %t.468, ptr %v.10
  %p.469 = getelementptr i8, ptr %start, i64 640
  %t.470 = load <16 x float>, ptr %p.469, align 16
  %t.471 = load <16 x float>, ptr %v.11
  %t.472 = fadd <16 x float> %t.470, %t.471
  store <16 x float> %t.472, ptr %v.11
  %p.473 = getelementptr i8, ptr %start, i64 704
  %t.474 = load <16 x float>, ptr %p.473, align 16
  %t.475 = load <16 x float>, ptr %v.12
  %t.476 = fadd <16 x float> %t.474, %t.475
  store <16 x float> %t.476, ptr %v.12
  %p.477 = getelementptr i8, ptr %start, i64 768
  %t.478 = load <16 x float>, ptr %p.477, align 16
  %t.479 = load <16 x float>, ptr %v.13
  %t.480 = fadd <16 x float> %t.478, %t.479
  store <16 x float> %t.480, ptr %v.13
  %p.481 = getelementptr i8, ptr %start, i64 832
  %t.482 = load <16 x float>, ptr %p.481, align 16
  %t.483 = load <16 x float>, ptr %v.14
  %t.484 = fadd <16 x float> %t.482, %t.483
  store <16 x float> %t.484, ptr %v.14
  %p.485 = getelementptr i8, ptr %start, i64 896
  %t.486 = load <16 x float>, ptr %p.485, align 16
  %t.487 = load <16 x float>, ptr %v.15
  %t.488 = fadd <16 x float> %t.486, %t.487
  store <16 x float> %t.488, ptr %v.15
  %p.489 = getelementptr i8, ptr %start, i64 960
  %t.490 = load <16 x float>, ptr %p.489, align 16
  %t.491 = load <16 x float>, ptr %v.16
  %t.492 = fadd <16 x float> %t.490, %t.491
  store <16 x float> %t.492, ptr %v.16
  %p.493 = getelementptr i8, ptr %start, i64 1024
  %t.494 = load <16 x float>, ptr %p.493, align 16
  %t.495 = load <16 x float>, ptr %v.17
  %t.496 = fadd <16 x float> %t.494, %t.495
  store <16 x float> %t.496, ptr %v.17
  %p.497 = getelementptr i8, ptr %start, i64 1088
  %t.498 = load <16 x float>, ptr %p.497, align 16
  %t.499 = load <16 x float>, ptr %v.18
  %t.500 = fadd <16 x float> %t.498, %t.499
  store <16 x float> %t.500, ptr %v.18
  %p.501 = getelementptr i8, ptr %start, i64 1152
  %t.502 = load <16 x float>, ptr %p.501, align 16
  %t.503 = load <16 x float>, ptr %v.19
  %t.504 = fadd <16 x float> %t.502, %t.503
  store <16 x float> %t.504, ptr %v.19
  %p.505 = getelementptr i8, ptr %start, i64 1216
  %t.506 = load <16 x float>, ptr %p.505, align 16
  %t.507 = load <16 x float>, ptr %v.20
  %t.508 = fadd <16 x float> %t.506, %t.507
  store <16 x float> %t.508, ptr %v.20
  %p.509 = getelementptr i8, ptr %start, i64 1280
  %t.510 = load <16 x float>, ptr %p.509, align 16
  %t.511 = load <16 x float>, ptr %v.21
  %t.512 = fadd <16 x float> %t.510, %t.511
  store <16 x float> %t.512, ptr %v.21
  %p.513 = getelementptr i8, ptr %start, i64 1344
  %t.514 = load <16 x float>, ptr %p.513, align 16
  %t.515 = load <16 x float>, ptr %v.22
  %t.516 = fadd <16 x float> %t.514, %t.515
  store <16 x float> %t.516, ptr %v.22
  %p.517 = getelementptr i8, ptr %start, i64 1408
  %t.518 = load <16 x float>, ptr %p.517, align 16
  %t.519 = load <16 x float>, ptr %v.23
  %t.520 = fadd <16 x float> %t.518, %t.519
  store <16 x float> %t.520, ptr %v.23
  %p.521 = getelementptr i8, ptr %start, i64 1472
  %t.522 = load <16 x float>, ptr %p.521, align 16
  %t.523 = load <16 x float>, ptr %v.24
  %t.524 = fadd <16 x float> %t.522, %t.523
  store <16 x float> %t.524, ptr %v.24
  %p.525 = getelementptr i8, ptr %start, i64 1536
  %t.526 = load <16 x float>, ptr %p.525, align 16
  %t.527 = load <16 x float>, ptr %v.25
  %t.528 = fadd <16 x float> %t.526, %t.527
  store <16 x float> %t.528, ptr %v.25
  %p.529 = getelementptr i8, ptr %start, i64 1600
  %t.530 = load <16 x float>, ptr %p.529, align 16
  %t.531 = load <16 x float>, ptr %v.26
  %t.532 = fadd <16 x float> %t.530, %t.531
  store <16 x float> %t.532, ptr %v.26
  %p.533 = getelementptr i8, ptr %start, i64 1664
  %t.534 = load <16 x float>, ptr %p.533, align 16
  %t.535 = load <16 x float>, ptr %v.27
  %t.536 = fadd <16 x float> %t.534, %t.535
  store <16 x float> %t.536, ptr %v.27
  %p.537 = getelementptr i8, ptr %start, i64 1728
  %t.538 = load <16 x float>, ptr %p.537, align 16
  %t.539 = load <16 x float>, ptr %v.28
  %t.540 = fadd <16 x float> %t.538, %t.539
  store <16 x float> %t.540, ptr %v.28
  br label %done.428
done.428:
  %t.541 = load <16 x float>, ptr %v.1
  %p.542 = getelementptr i8, ptr %tile, i64 0
  store <16 x float> %t.541, ptr %p.542, align 16
  %t.543 = load <16 x float>, ptr %v.2
  %p.544 = getelementptr i8, ptr %tile, i64 64
  store <16 x float> %t.543, ptr %p.544, align 16
  %t.545 = load <16 x float>, ptr %v.3
  %p.546 = getelementptr i8, ptr %tile, i64 128
  store <16 x float> %t.545, ptr %p.546, align 16
  %t.547 = load <16 x float>, ptr %v.4
  %p.548 = getelementptr i8, ptr %tile, i64 192
  store <16 x float> %t.547, ptr %p.548, align 16
  %t.549 = load <16 x float>, ptr %v.5
  %p.550 = getelementptr i8, ptr %tile, i64 256
  store <16 x float> %t.549, ptr %p.550, align 16
  %t.551 = load <16 x float>, ptr %v.6
  %p.552 = getelementptr i8, ptr %tile, i64 320
  store <16 x float> %t.551, ptr %p.552, align 16
  %t.553 = load <16 x float>, ptr %v.7
  %p.554 = getelementptr i8, ptr %tile, i64 384
  store <16 x float> %t.553, ptr %p.554, align 16
  %t.555 = load <16 x float>, ptr %v.8
  %p.556 = getelementptr i8, ptr %tile, i64 448
  store <16 x float> %t.555, ptr %p.556, align 16
  %t.557 = load <16 x float>, ptr %v.9
  %p.558 = getelementptr i8, ptr %tile, i64 512
  store <16 x float> %t.557, ptr %p.558, align 16
  %t.559 = load <16 x float>, ptr %v.10
  %p.560 = getelementptr i8, ptr %tile, i64 576
  store <16 x float> %t.559, ptr %p.560, align 16
  %t.561 = load <16 x float>, ptr %v.11
  %p.562 = getelementptr i8, ptr %tile, i64 640
  store <16 x float> %t.561, ptr %p.562, align 16
  %t.563 = load <16 x float>, ptr %v.12
  %p.564 = getelementptr i8, ptr %tile, i64 704
  store <16 x float> %t.563, ptr %p.564, align 16
  %t.565 = load <16 x float>, ptr %v.13
  %p.566 = getelementptr i8, ptr %tile, i64 768
  store <16 x float> %t.565, ptr %p.566, align 16
  %t.567 = load <16 x float>, ptr %v.14
  %p.568 = getelementptr i8, ptr %tile, i64 832
  store <16 x float> %t.567, ptr %p.568, align 16
  %t.569 = load <16 x float>, ptr %v.15
  %p.570 = getelementptr i8, ptr %tile, i64 896
  store <16 x float> %t.569, ptr %p.570, align 16
  %t.571 = load <16 x float>, ptr %v.16
  %p.572 = getelementptr i8, ptr %tile, i64 960
  store <16 x float> %t.571, ptr %p.572, align 16
  %t.573 = load <16 x float>, ptr %v.17
  %p.574 = getelementptr i8, ptr %tile, i64 1024
  store <16 x float> %t.573, ptr %p.574, align 16
  %t.575 = load <16 x float>, ptr %v.18
  %p.576 = getelementptr i8, ptr %tile, i64 1088
  store <16 x float> %t.575, ptr %p.576, align 16
  %t.577 = load <16 x float>, ptr %v.19
  %p.578 = getelementptr i8, ptr %tile, i64 1152
  store <16 x float> %t.577, ptr %p.578, align 16
  %t.579 = load <16 x float>, ptr %v.20
  %p.580 = getelementptr i8, ptr %tile, i64 1216
  store <16 x float> %t.579, ptr %p.580, align 16
  %t.581 = load <16 x float>, ptr %v.21
  %p.582 = getelementptr i8, ptr %tile, i64 1280
  store <16 x float> %t.581, ptr %p.582, align 16
  %t.583 = load <16 x float>, ptr %v.22
  %p.584 = getelementptr i8, ptr %tile, i64 1344
  store <16 x float> %t.583, ptr %p.584, align 16
  %t.585 = load <16 x float>, ptr %v.23
  %p.586 = getelementptr i8, ptr %tile, i64 1408
  store <16 x float> %t.585, ptr %p.586, align 16
  %t.587 = load <16 x float>, ptr %v.24
  %p.588 = getelementptr i8, ptr %tile, i64 1472
  store <16 x float> %t.587, ptr %p.588, align 16
  %t.589 = load <16 x float>, ptr %v.25
  %p.590 = getelementptr i8, ptr %tile, i64 1536
  store <16 x float> %t.589, ptr %p.590, align 16
  %t.591 = load <16 x float>, ptr %v.26
  %p.592 = getelementptr i8, ptr %tile, i64 1600
  store <16 x float> %t.591, ptr %p.592, align 16
  %t.593 = load <16 x float>, ptr %v.27
  %p.594 = getelementptr i8, ptr %tile, i64 1664
  store <16 x float> %t.593, ptr %p.594, align 16
  %t.595 = load <16 x float>, ptr %v.28
  %p.596 = getelementptr i8, ptr %tile, i64 1728
  store <16 x float> %t.595, ptr %p.596, align 16
  ret void
}
