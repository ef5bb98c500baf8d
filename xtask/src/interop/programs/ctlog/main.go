// A CT log out of the programs that Sigstore's public instance runs: the CT front end and Trillian's log
// server, over Trillian's in-memory storage so that it needs no database.
//
//	ctlog PRIVATE-KEY.der ROOTS.pem
//
// It listens on a loopback port of the system's choice and prints its address as the first line.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/certificate-transparency-go/trillian/ctfe"
	"github.com/google/certificate-transparency-go/trillian/ctfe/configpb"
	"github.com/google/trillian"
	"github.com/google/trillian/crypto/keys"
	"github.com/google/trillian/crypto/keys/der"
	"github.com/google/trillian/crypto/keyspb"
	"github.com/google/trillian/extension"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/server"
	"github.com/google/trillian/storage"
	_ "github.com/google/trillian/storage/memory"
	"github.com/google/trillian/util/clock"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: ctlog PRIVATE-KEY.der ROOTS.pem")
	}
	log.Fatal(serve(os.Args[1], os.Args[2]))
}

func serve(key, roots string) error {
	ctx := context.Background()
	client, tree, err := trillianLog(ctx)
	if err != nil {
		return err
	}
	keys.RegisterHandler(&keyspb.PrivateKey{}, der.FromProto)
	bytes, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	private, err := anypb.New(&keyspb.PrivateKey{Der: bytes})
	if err != nil {
		return err
	}
	config, err := ctfe.ValidateLogConfig(&configpb.LogConfig{
		LogId:        tree,
		Prefix:       "ctlog",
		RootsPemFile: []string{roots},
		PrivateKey:   private,
		ExtKeyUsages: []string{"CodeSigning"},
	})
	if err != nil {
		return err
	}
	instance, err := ctfe.SetUpInstance(ctx, ctfe.InstanceOptions{
		Validated:     config,
		Client:        client,
		Deadline:      10 * time.Second,
		MetricFactory: monitoring.InertMetricFactory{},
		RequestLog:    new(ctfe.DefaultRequestLog),
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for path, handler := range instance.Handlers {
		mux.Handle(path, handler)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, mux)
}

// trillianLog starts Trillian's log server on a port of the system's choice, with one empty tree.
func trillianLog(ctx context.Context) (trillian.TrillianLogClient, int64, error) {
	provider, err := storage.NewProvider("memory", monitoring.InertMetricFactory{})
	if err != nil {
		return nil, 0, err
	}
	tree, err := storage.CreateTree(ctx, provider.AdminStorage(), &trillian.Tree{
		TreeState:       trillian.TreeState_ACTIVE,
		TreeType:        trillian.TreeType_LOG,
		MaxRootDuration: durationpb.New(time.Hour),
	})
	if err != nil {
		return nil, 0, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	rpc := grpc.NewServer()
	trillian.RegisterTrillianLogServer(rpc, server.NewTrillianLogRPCServer(extension.Registry{
		AdminStorage:  provider.AdminStorage(),
		LogStorage:    provider.LogStorage(),
		QuotaManager:  quota.Noop(),
		MetricFactory: monitoring.InertMetricFactory{},
	}, clock.System))
	go func() { log.Fatal(rpc.Serve(listener)) }()

	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, 0, err
	}
	client := trillian.NewTrillianLogClient(connection)
	if _, err := client.InitLog(ctx, &trillian.InitLogRequest{LogId: tree.TreeId}); err != nil {
		return nil, 0, err
	}
	return client, tree.TreeId, nil
}
