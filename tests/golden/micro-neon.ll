define internal void @micro_8_3(ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step) noinline {
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
  %t.39 = mul i64 %i.36, 32
  %p.40 = getelementptr i8, ptr %a, i64 %t.39
  %t.41 = mul i64 %i.36, 48
  %p.42 = getelementptr i8, ptr %b, i64 %t.41
  %p.43 = getelementptr i8, ptr %p.42, i64 0
  %t.44 = load <4 x float>, ptr %p.43, align 16
  %p.45 = getelementptr i8, ptr %p.42, i64 16
  %t.46 = load <4 x float>, ptr %p.45, align 16
  %p.47 = getelementptr i8, ptr %p.42, i64 32
  %t.48 = load <4 x float>, ptr %p.47, align 16
  %p.49 = getelementptr i8, ptr %p.40, i64 1024
  call void @llvm.prefetch.p0(ptr %p.49, i32 0, i32 3, i32 1)
  %p.50 = getelementptr i8, ptr %p.42, i64 768
  call void @llvm.prefetch.p0(ptr %p.50, i32 0, i32 3, i32 1)
  %p.51 = getelementptr i8, ptr %p.40, i64 0
  %t.52 = load float, ptr %p.51, align 4
  %t.53 = insertelement <4 x float> poison, float %t.52, i32 0
  %t.54 = shufflevector <4 x float> %t.53, <4 x float> poison, <4 x i32> zeroinitializer
  %t.55 = load <4 x float>, ptr %v.1
  %t.56 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.54, <4 x float> %t.44, <4 x float> %t.55)
  store <4 x float> %t.56, ptr %v.1
  %t.57 = load <4 x float>, ptr %v.2
  %t.58 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.54, <4 x float> %t.46, <4 x float> %t.57)
  store <4 x float> %t.58, ptr %v.2
  %t.59 = load <4 x float>, ptr %v.3
  %t.60 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.54, <4 x float> %t.48, <4 x float> %t.59)
  store <4 x float> %t.60, ptr %v.3
  %p.61 = getelementptr i8, ptr %p.40, i64 4
  %t.62 = load float, ptr %p.61, align 4
  %t.63 = insertelement <4 x float> poison, float %t.62, i32 0
  %t.64 = shufflevector <4 x float> %t.63, <4 x float> poison, <4 x i32> zeroinitializer
  %t.65 = load <4 x float>, ptr %v.4
  %t.66 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.64, <4 x float> %t.44, <4 x float> %t.65)
  store <4 x float> %t.66, ptr %v.4
  %t.67 = load <4 x float>, ptr %v.5
  %t.68 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.64, <4 x float> %t.46, <4 x float> %t.67)
  store <4 x float> %t.68, ptr %v.5
  %t.69 = load <4 x float>, ptr %v.6
  %t.70 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.64, <4 x float> %t.48, <4 x float> %t.69)
  store <4 x float> %t.70, ptr %v.6
  %p.71 = getelementptr i8, ptr %p.40, i64 8
  %t.72 = load float, ptr %p.71, align 4
  %t.73 = insertelement <4 x float> poison, float %t.72, i32 0
  %t.74 = shufflevector <4 x float> %t.73, <4 x float> poison, <4 x i32> zeroinitializer
  %t.75 = load <4 x float>, ptr %v.7
  %t.76 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.74, <4 x float> %t.44, <4 x float> %t.75)
  store <4 x float> %t.76, ptr %v.7
  %t.77 = load <4 x float>, ptr %v.8
  %t.78 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.74, <4 x float> %t.46, <4 x float> %t.77)
  store <4 x float> %t.78, ptr %v.8
  %t.79 = load <4 x float>, ptr %v.9
  %t.80 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.74, <4 x float> %t.48, <4 x float> %t.79)
  store <4 x float> %t.80, ptr %v.9
  %p.81 = getelementptr i8, ptr %p.40, i64 12
  %t.82 = load float, ptr %p.81, align 4
  %t.83 = insertelement <4 x float> poison, float %t.82, i32 0
  %t.84 = shufflevector <4 x float> %t.83, <4 x float> poison, <4 x i32> zeroinitializer
  %t.85 = load <4 x float>, ptr %v.10
  %t.86 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.84, <4 x float> %t.44, <4 x float> %t.85)
  store <4 x float> %t.86, ptr %v.10
  %t.87 = load <4 x float>, ptr %v.11
  %t.88 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.84, <4 x float> %t.46, <4 x float> %t.87)
  store <4 x float> %t.88, ptr %v.11
  %t.89 = load <4 x float>, ptr %v.12
  %t.90 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.84, <4 x float> %t.48, <4 x float> %t.89)
  store <4 x float> %t.90, ptr %v.12
  %p.91 = getelementptr i8, ptr %p.40, i64 16
  %t.92 = load float, ptr %p.91, align 4
  %t.93 = insertelement <4 x float> poison, float %t.92, i32 0
  %t.94 = shufflevector <4 x float> %t.93, <4 x float> poison, <4 x i32> zeroinitializer
  %t.95 = load <4 x float>, ptr %v.13
  %t.96 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.94, <4 x float> %t.44, <4 x float> %t.95)
  store <4 x float> %t.96, ptr %v.13
  %t.97 = load <4 x float>, ptr %v.14
  %t.98 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.94, <4 x float> %t.46, <4 x float> %t.97)
  store <4 x float> %t.98, ptr %v.14
  %t.99 = load <4 x float>, ptr %v.15
  %t.100 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.94, <4 x float> %t.48, <4 x float> %t.99)
  store <4 x float> %t.100, ptr %v.15
  %p.101 = getelementptr i8, ptr %p.40, i64 20
  %t.102 = load float, ptr %p.101, align 4
  %t.103 = insertelement <4 x float> poison, float %t.102, i32 0
  %t.104 = shufflevector <4 x float> %t.103, <4 x float> poison, <4 x i32> zeroinitializer
  %t.105 = load <4 x float>, ptr %v.16
  %t.106 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.104, <4 x float> %t.44, <4 x float> %t.105)
  store <4 x float> %t.106, ptr %v.16
  %t.107 = load <4 x float>, ptr %v.17
  %t.108 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.104, <4 x float> %t.46, <4 x float> %t.107)
  store <4 x float> %t.108, ptr %v.17
  %t.109 = load <4 x float>, ptr %v.18
  %t.110 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.104, <4 x float> %t.48, <4 x float> %t.109)
  store <4 x float> %t.110, ptr %v.18
  %p.111 = getelementptr i8, ptr %p.40, i64 24
  %t.112 = load float, ptr %p.111, align 4
  %t.113 = insertelement <4 x float> poison, float %t.112, i32 0
  %t.114 = shufflevector <4 x float> %t.113, <4 x float> poison, <4 x i32> zeroinitializer
  %t.115 = load <4 x float>, ptr %v.19
  %t.116 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.114, <4 x float> %t.44, <4 x float> %t.115)
  store <4 x float> %t.116, ptr %v.19
  %t.117 = load <4 x float>, ptr %v.20
  %t.118 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.114, <4 x float> %t.46, <4 x float> %t.117)
  store <4 x float> %t.118, ptr %v.20
  %t.119 = load <4 x float>, ptr %v.21
  %t.120 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.114, <4 x float> %t.48, <4 x float> %t.119)
  store <4 x float> %t.120, ptr %v.21
  %p.121 = getelementptr i8, ptr %p.40, i64 28
  %t.122 = load float, ptr %p.121, align 4
  %t.123 = insertelement <4 x float> poison, float %t.122, i32 0
  %t.124 = shufflevector <4 x float> %t.123, <4 x float> poison, <4 x i32> zeroinitializer
  %t.125 = load <4 x float>, ptr %v.22
  %t.126 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.124, <4 x float> %t.44, <4 x float> %t.125)
  store <4 x float> %t.126, ptr %v.22
  %t.127 = load <4 x float>, ptr %v.23
  %t.128 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.124, <4 x float> %t.46, <4 x float> %t.127)
  store <4 x float> %t.128, ptr %v.23
  %t.129 = load <4 x float>, ptr %v.24
  %t.130 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %t.124, <4 x float> %t.48, <4 x float> %t.129)
  store <4 x float> %t.130, ptr %v.24
  %i.37 = add i64 %i.36, 1
  br label %head.33
done.35:
  %t.131 = icmp ne ptr %start, null
  br i1 %t.131, label %then.132, label %done.133
then.132:
  %p.134 = getelementptr i8, ptr %start, i64 0
  %t.135 = load <4 x float>, ptr %p.134, align 16
  %t.136 = load <4 x float>, ptr %v.1
  %t.137 = fadd <4 x float> %t.135, %t.136
  store <4 x float> %t.137, ptr %v.1
  %p.138 = getelementptr i8, ptr %start, i64 16
  %t.139 = load <4 x float>, ptr %p.138, align 16
  %t.140 = load <4 x float>, ptr %v.2
  %t.141 = fadd <4 x float> %t.139, %t.140
  store <4 x float> %t.141, ptr %v.2
  %p.142 = getelementptr i8, ptr %start, i64 32
  %t.143 = load <4 x float>, ptr %p.142, align 16
  %t.144 = load <4 x float>, ptr %v.3
  %t.145 = fadd <4 x float> %t.143, %t.144
  store <4 x float> %t.145, ptr %v.3
  %p.146 = getelementptr i8, ptr %start, i64 48
  %t.147 = load <4 x float>, ptr %p.146, align 16
  %t.148 = load <4 x float>, ptr %v.4
  %t.149 = fadd <4 x float> %t.147, %t.148
  store <4 x float> %t.149, ptr %v.4
  %p.150 = getelementptr i8, ptr %start, i64 64
  %t.151 = load <4 x float>, ptr %p.150, align 16
  %t.152 = load <4 x float>, ptr %v.5
  %t.153 = fadd <4 x float> %t.151, %t.152
  store <4 x float> %t.153, ptr %v.5
  %p.154 = getelementptr i8, ptr %start, i64 80
  %t.155 = load <4 x float>, ptr %p.154, align 16
  %t.156 = load <4 x float>, ptr %v.6
  %t.157 = fadd <4 x float> %t.155, %t.156
  store <4 x float> %t.157, ptr %v.6
  %p.158 = getelementptr i8, ptr %start, i64 96
  %t.159 = load <4 x float>, ptr %p.158, align 16
  %t.160 = load <4 x float>, ptr %v.7
  %t.161 = fadd <4 x float> %t.159, %t.160
  store <4 x float> %t.161, ptr %v.7
  %p.162 = getelementptr i8, ptr %start, i64 112
  %t.163 = load <4 x float>, ptr %p.162, align 16
  %t.164 = load <4 x float>, ptr %v.8
  %t.165 = fadd <4 x float> %t.163, %t.164
  store <4 x float> %t.165, ptr %v.8
  %p.166 = getelementptr i8, ptr %start, i64 128
  %t.167 = load <4 x float>, ptr %p.166, align 16
  %t.168 = load <4 x float>, ptr %v.9
  %t.169 = fadd <4 x float> %t.167, %t.168
  store <4 x float> %t.169, ptr %v.9
  %p.170 = getelementptr i8, ptr %start, i64 144
  %t.171 = load <4 x float>, ptr %p.170, align 16
  %t.172 = load <4 x float>, ptr %v.10
  %t.173 = fadd <4 x float> %t.171, %t.172
  store <4 x float> %t.173, ptr %v.10
  %p.174 = getelementptr i8, ptr %start, i64 160
  %t.175 = load <4 x float>, ptr %p.174, align 16
  %t.176 = load <4 x float>, ptr %v.11
  %t.177 = fadd <4 x float> %t.175, %t.176
  store <4 x float> %t.177, ptr %v.11
  %p.178 = getelementptr i8, ptr %start, i64 176
  %t.179 = load <4 x float>, ptr %p.178, align 16
  %t.180 = load <4 x float>, ptr %v.12
  %t.181 = fadd <4 x float> %t.179, %t.180
  store <4 x float> %t.181, ptr %v.12
  %p.182 = getelementptr i8, ptr %start, i64 192
  %t.183 = load <4 x float>, ptr %p.182, align 16
  %t.184 = load <4 x float>, ptr %v.13
  %t.185 = fadd <4 x float> %t.183, %t.184
  store <4 x float> %t.185, ptr %v.13
  %p.186 = getelementptr i8, ptr %start, i64 208
  %t.187 = load <4 x float>, ptr %p.186, align 16
  %t.188 = load <4 x float>, ptr %v.14
  %t.189 = fadd <4 x float> %t.187, %t.188
  store <4 x float> %t.189, ptr %v.14
  %p.190 = getelementptr i8, ptr %start, i64 224
  %t.191 = load <4 x float>, ptr %p.190, align 16
  %t.192 = load <4 x float>, ptr %v.15
  %t.193 = fadd <4 x float> %t.191, %t.192
  store <4 x float> %t.193, ptr %v.15
  %p.194 = getelementptr i8, ptr %start, i64 240
  %t.195 = load <4 x float>, ptr %p.194, align 16
  %t.196 = load <4 x float>, ptr %v.16
  %t.197 = fadd <4 x float> %t.195, %t.196
  store <4 x float> %t.197, ptr %v.16
  %p.198 = getelementptr i8, ptr %start, i64 256
  %t.199 = load <4 x float>, ptr %p.198, align 16
  %t.200 = load <4 x float>, ptr %v.17
  %t.201 = fadd <4 x float> %t.199, %t.200
  store <4 x float> %t.201, ptr %v.17
  %p.202 = getelementptr i8, ptr %start, i64 272
  %t.203 = load <4 x float>, ptr %p.202, align 16
  %t.204 = load <4 x float>, ptr %v.18
  %t.205 = fadd <4 x float> %t.203, %t.204
  store <4 x float> %t.205, ptr %v.18
  %p.206 = getelementptr i8, ptr %start, i64 288
  %t.207 = load <4 x float>, ptr %p.206, align 16
  %t.208 = load <4 x float>, ptr %v.19
  %t.209 = fadd <4 x float> %t.207, %t.208
  store <4 x float> %t.209, ptr %v.19
  %p.210 = getelementptr i8, ptr %start, i64 304
  %t.211 = load <4 x float>, ptr %p.210, align 16
  %t.212 = load <4 x float>, ptr %v.20
  %t.213 = fadd <4 x float> %t.211, %t.212
  store <4 x float> %t.213, ptr %v.20
  %p.214 = getelementptr i8, ptr %start, i64 320
  %t.215 = load <4 x float>, ptr %p.214, align 16
  %t.216 = load <4 x float>, ptr %v.21
  %t.217 = fadd <4 x float> %t.215, %t.216
  store <4 x float> %t.217, ptr %v.21
  %p.218 = getelementptr i8, ptr %start, i64 336
  %t.219 = load <4 x float>, ptr %p.218, align 16
  %t.220 = load <4 x float>, ptr %v.22
  %t.221 = fadd <4 x float> %t.219, %t.220
  store <4 x float> %t.221, ptr %v.22
  %p.222 = getelementptr i8, ptr %start, i64 352
  %t.223 = load <4 x float>, ptr %p.222, align 16
  %t.224 = load <4 x float>, ptr %v.23
  %t.225 = fadd <4 x float> %t.223, %t.224
  store <4 x float> %t.225, ptr %v.23
  %p.226 = getelementptr i8, ptr %start, i64 368
  %t.227 = load <4 x float>, ptr %p.226, align 16
  %t.228 = load <4 x float>, ptr %v.24
  %t.229 = fadd <4 x float> %t.227, %t.228
  store <4 x float> %t.229, ptr %v.24
  br label %done.133
done.133:
  %t.230 = load <4 x float>, ptr %v.1
  %p.231 = getelementptr i8, ptr %tile, i64 0
  store <4 x float> %t.230, ptr %p.231, align 16
  %t.232 = load <4 x float>, ptr %v.2
  %p.233 = getelementptr i8, ptr %tile, i64 16
  store <4 x float> %t.232, ptr %p.233, align 16
  %t.234 = load <4 x float>, ptr %v.3
  %p.235 = getelementptr i8, ptr %tile, i64 32
  store <4 x float> %t.234, ptr %p.235, align 16
  %t.236 = load <4 x float>, ptr %v.4
  %p.237 = getelementptr i8, ptr %tile, i64 48
  store <4 x float> %t.236, ptr %p.237, align 16
  %t.238 = load <4 x float>, ptr %v.5
  %p.239 = getelementptr i8, ptr %tile, i64 64
  store <4 x float> %t.238, ptr %p.239, align 16
  %t.240 = load <4 x float>, ptr %v.6
  %p.241 = getelementptr i8, ptr %tile, i64 80
  store <4 x float> %t.240, ptr %p.241, align 16
  %t.242 = load <4 x float>, ptr %v.7
  %p.243 = getelementptr i8, ptr %tile, i64 96
  store <4 x float> %t.242, ptr %p.243, align 16
  %t.244 = load <4 x float>, ptr %v.8
  %p.245 = getelementptr i8, ptr %tile, i64 112
  store <4 x float> %t.244, ptr %p.245, align 16
  %t.246 = load <4 x float>, ptr %v.9
  %p.247 = getelementptr i8, ptr %tile, i64 128
  store <4 x float> %t.246, ptr %p.247, align 16
  %t.248 = load <4 x float>, ptr %v.10
  %p.249 = getelementptr i8, ptr %tile, i64 144
  store <4 x float> %t.248, ptr %p.249, align 16
  %t.250 = load <4 x float>, ptr %v.11
  %p.251 = getelementptr i8, ptr %tile, i64 160
  store <4 x float> %t.250, ptr %p.251, align 16
  %t.252 = load <4 x float>, ptr %v.12
  %p.253 = getelementptr i8, ptr %tile, i64 176
  store <4 x float> %t.252, ptr %p.253, align 16
  %t.254 = load <4 x float>, ptr %v.13
  %p.255 = getelementptr i8, ptr %tile, i64 192
  store <4 x float> %t.254, ptr %p.255, align 16
  %t.256 = load <4 x float>, ptr %v.14
  %p.257 = getelementptr i8, ptr %tile, i64 208
  store <4 x float> %t.256, ptr %p.257, align 16
  %t.258 = load <4 x float>, ptr %v.15
  %p.259 = getelementptr i8, ptr %tile, i64 224
  store <4 x float> %t.258, ptr %p.259, align 16
  %t.260 = load <4 x float>, ptr %v.16
  %p.261 = getelementptr i8, ptr %tile, i64 240
  store <4 x float> %t.260, ptr %p.261, align 16
  %t.262 = load <4 x float>, ptr %v.17
  %p.263 = getelementptr i8, ptr %tile, i64 256
  store <4 x float> %t.262, ptr %p.263, align 16
  %t.264 = load <4 x float>, ptr %v.18
  %p.265 = getelementptr i8, ptr %tile, i64 272
  store <4 x float> %t.264, ptr %p.265, align 16
  %t.266 = load <4 x float>, ptr %v.19
  %p.267 = getelementptr i8, ptr %tile, i64 288
  store <4 x float> %t.266, ptr %p.267, align 16
  %t.268 = load <4 x float>, ptr %v.20
  %p.269 = getelementptr i8, ptr %tile, i64 304
  store <4 x float> %t.268, ptr %p.269, align 16
  %t.270 = load <4 x float>, ptr %v.21
  %p.271 = getelementptr i8, ptr %tile, i64 320
  store <4 x float> %t.270, ptr %p.271, align 16
  %t.272 = load <4 x float>, ptr %v.22
  %p.273 = getelementptr i8, ptr %tile, i64 336
  store <4 x float> %t.272, ptr %p.273, align 16
  %t.274 = load <4 x float>, ptr %v.23
  %p.275 = getelementptr i8, ptr %tile, i64 352
  store <4 x float> %t.274, ptr %p.275, align 16
  %t.276 = load <4 x float>, ptr %v.24
  %p.277 = getelementptr i8, ptr %tile, i64 368
  store <4 x float> %t.276, ptr %p.277, align 16
  ret void
}
