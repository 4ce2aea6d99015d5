define internal void @micro_32_2(ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step) noinline {
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
  call void @llvm.x86.tileloadd64(i8 4, ptr %p.20, i64 %row)
  %p.23 = getelementptr i8, ptr %p.22, i64 0
  call void @llvm.x86.tileloadd64(i8 6, ptr %p.23, i64 128)
  call void @llvm.x86.tdpbf16ps(i8 0, i8 4, i8 6)
  %p.24 = getelementptr i8, ptr %p.22, i64 64
  call void @llvm.x86.tileloadd64(i8 7, ptr %p.24, i64 128)
  call void @llvm.x86.tdpbf16ps(i8 1, i8 4, i8 7)
  %p.25 = getelementptr i8, ptr %p.20, i64 %t.10
  call void @llvm.x86.tileloadd64(i8 5, ptr %p.25, i64 %row)
  call void @llvm.x86.tdpbf16ps(i8 2, i8 5, i8 6)
  call void @llvm.x86.tdpbf16ps(i8 3, i8 5, i8 7)
  %i.17 = add i64 %i.16, 1
  br label %head.13
done.15:
  %p.26 = getelementptr i8, ptr %tile, i64 0
  call void @llvm.x86.tilestored64(i8 0, ptr %p.26, i64 128)
  %p.27 = getelementptr i8, ptr %tile, i64 64
  call void @llvm.x86.tilestored64(i8 1, ptr %p.27, i64 128)
  %p.28 = getelementptr i8, ptr %tile, i64 2048
  call void @llvm.x86.tilestored64(i8 2, ptr %p.28, i64 128)
  %p.29 = getelementptr i8, ptr %tile, i64 2112
  call void @llvm.x86.tilestored64(i8 3, ptr %p.29, i64 128)
  ret void
}
