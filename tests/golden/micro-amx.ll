define internal void @micro_32_2(ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step, ptr %next, i64 %pace) noinline {
entry:
  %t.1 = icmp ne ptr %start, null
  br i1 %t.1, label %then.2, label %done.3
then.2:
  %p.4 = getelementptr i8, ptr %start, i64 0
  call void @llvm.x86.tileloadd64(i8 0, ptr %p.4, i64 128)
  %p.5 = getelementptr i8, ptr %start, i64 64
  call void @llvm.x86.tileloadd64(i8 1, ptr %p.5, i64 128)
  %p.6 = getelementptr i8, ptr %start, i64 2048
  call void @llvm.x86.tileloadd64(i8 2, ptr %p.6, i64 128)
  %p.7 = getelementptr i8, ptr %start, i64 2112
  call void @llvm.x86.tileloadd64(i8 3, ptr %p.7, i64 128)
  br label %done.3
done.3:
  br i1 %t.1, label %done.9, label %then.8
then.8:
  call void @llvm.x86.tilezero(i8 0)
  call void @llvm.x86.tilezero(i8 1)
  call void @llvm.x86.tilezero(i8 2)
  call void @llvm.x86.tilezero(i8 3)
  br label %done.9
done.9:
  %t.10 = mul i64 %row, 16
  %t.11 = add i64 %depth, 31
  %t.12 = udiv i64 %t.11, 32
  br label %head.13
head.13:
  %i.16 = phi i64 [ 0, %done.9 ], [ %i.17, %body.14 ]
  %t.18 = icmp slt i64 %i.16, %t.12
  br i1 %t.18, label %body.14, label %done.15
body.14:
  %t.19 = mul i64 %i.16, %step
  %p.20 = getelementptr i8, ptr %a, i64 %t.19
  %t.21 = mul i64 %i.16, 2048
  %p.22 = getelementptr i8, ptr %b, i64 %t.21
  %t.23 = mul i64 %i.16, 16
  %t.24 = add i64 %t.23, 0
  %t.25 = mul i64 %t.24, %pace
  %p.26 = getelementptr i8, ptr %next, i64 %t.25
  %p.27 = getelementptr i8, ptr %p.26, i64 0
  call void @llvm.prefetch.p0(ptr %p.27, i32 0, i32 2, i32 1)
  %t.28 = mul i64 %i.16, 16
  %t.29 = add i64 %t.28, 8
  %t.30 = mul i64 %t.29, %pace
  %p.31 = getelementptr i8, ptr %next, i64 %t.30
  %p.32 = getelementptr i8, ptr %p.31, i64 0
  call void @llvm.prefetch.p0(ptr %p.32, i32 0, i32 2, i32 1)
  call void @llvm.x86.tileloaddt164(i8 4, ptr %p.20, i64 %row)
  %p.33 = getelementptr i8, ptr %p.22, i64 0
  call void @llvm.x86.tileloadd64(i8 6, ptr %p.33, i64 128)
  call void @llvm.x86.tdpbf16ps(i8 0, i8 4, i8 6)
  %p.34 = getelementptr i8, ptr %p.22, i64 64
  call void @llvm.x86.tileloadd64(i8 7, ptr %p.34, i64 128)
  call void @llvm.x86.tdpbf16ps(i8 1, i8 4, i8 7)
  %p.35 = getelementptr i8, ptr %p.20, i64 %t.10
  call void @llvm.x86.tileloaddt164(i8 5, ptr %p.35, i64 %row)
  call void @llvm.x86.tdpbf16ps(i8 2, i8 5, i8 6)
  call void @llvm.x86.tdpbf16ps(i8 3, i8 5, i8 7)
  %i.17 = add i64 %i.16, 1
  br label %head.13
done.15:
  %p.36 = getelementptr i8, ptr %tile, i64 0
  call void @llvm.x86.tilestored64(i8 0, ptr %p.36, i64 128)
  %p.37 = getelementptr i8, ptr %tile, i64 64
  call void @llvm.x86.tilestored64(i8 1, ptr %p.37, i64 128)
  %p.38 = getelementptr i8, ptr %tile, i64 2048
  call void @llvm.x86.tilestored64(i8 2, ptr %p.38, i64 128)
  %p.39 = getelementptr i8, ptr %tile, i64 2112
  call void @llvm.x86.tilestored64(i8 3, ptr %p.39, i64 128)
  ret void
}
