module countersign/fuzz/oracle

go 1.24
