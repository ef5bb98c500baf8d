// Reads policies that countersign exported, by the code of the programs that they are for.
//
//	enforcers read PROGRAM FILE [NAME...]
//	    Decodes and validates the document. For each name of an image, prints "yes" or "no": whether the document is for it.
//	enforcers rule PROGRAM FILE NAME...
//	    For each name of an image, prints what all documents of the file say of it: "signature_required", "allowed" or
//	    "refused".
//	enforcers judge FILE TRUSTED_ROOT IMAGE
//	    Has policy-controller judge an image. Prints "accepted", or why not.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/containers/image/v5/signature"
	flux "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/cel-go/cel"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	kyverno "github.com/kyverno/api/api/policies.kyverno.io/v1"
	starglob "github.com/ryanuber/go-glob"
	talos "github.com/siderolabs/talos/pkg/machinery/config/types/security"
	"github.com/sigstore/policy-controller/pkg/apis/config"
	"github.com/sigstore/policy-controller/pkg/apis/glob"
	"github.com/sigstore/policy-controller/pkg/apis/policy/v1alpha1"
	"github.com/sigstore/policy-controller/pkg/apis/policy/v1beta1"
	controller "github.com/sigstore/policy-controller/pkg/config"
	"github.com/sigstore/policy-controller/pkg/webhook"
	webhookcip "github.com/sigstore/policy-controller/pkg/webhook/clusterimagepolicy"
	"go.yaml.in/yaml/v4"
	corev1 "k8s.io/api/core/v1"
	kyaml "sigs.k8s.io/yaml"
)

// matcher says whether a document is for the image with this name.
type matcher func(image string) (bool, error)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 3 && args[0] == "read":
		return read(args[1], args[2], args[3:])
	case len(args) >= 4 && args[0] == "rule":
		return rule(args[1], args[2], args[3:])
	case len(args) == 4 && args[0] == "judge":
		return judge(args[1], args[2], args[3])
	}
	return errors.New("usage: enforcers read PROGRAM FILE [NAME...] | rule PROGRAM FILE NAME... | judge FILE TRUSTED_ROOT IMAGE")
}

func read(program, file string, images []string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	readers := map[string]func([]byte) (matcher, error){
		"policy-controller": policyController,
		"kyverno":           imageValidatingPolicy,
		"talos":             imageVerificationConfig,
		"flux":              ociRepository,
		"containers":        policyJSON,
	}
	reader, known := readers[program]
	if !known {
		return fmt.Errorf("unknown program %q", program)
	}
	matches, err := reader(text)
	if err != nil {
		return err
	}
	for _, image := range images {
		matched, err := matches(image)
		if err != nil {
			return err
		}
		fmt.Println(map[bool]string{true: "yes", false: "no"}[matched])
	}
	return nil
}

func clusterImagePolicy(text []byte) (*v1beta1.ClusterImagePolicy, error) {
	policy := &v1beta1.ClusterImagePolicy{}
	if err := kyaml.UnmarshalStrict(text, policy); err != nil {
		return nil, err
	}
	if err := policy.Validate(context.Background()); err != nil {
		return nil, err
	}
	return policy, nil
}

func policyController(text []byte) (matcher, error) {
	policy, err := clusterImagePolicy(text)
	if err != nil {
		return nil, err
	}
	return func(image string) (bool, error) {
		for _, pattern := range policy.Spec.Images {
			matched, err := glob.Match(pattern.Glob, image)
			if err != nil || matched {
				return matched, err
			}
		}
		return false, nil
	}, nil
}

// The CEL environment has the one variable that patterns of images see. The other expressions are parsed only.
func imageValidatingPolicy(text []byte) (matcher, error) {
	policy := &kyverno.ImageValidatingPolicy{}
	if err := kyaml.UnmarshalStrict(text, policy); err != nil {
		return nil, err
	}
	env, err := cel.NewEnv(cel.Variable("ref", cel.StringType))
	if err != nil {
		return nil, err
	}
	for _, validation := range policy.Spec.Validations {
		if _, issues := env.Parse(validation.Expression); issues.Err() != nil {
			return nil, issues.Err()
		}
	}
	for _, attestor := range policy.Spec.Attestors {
		if attestor.Cosign == nil || attestor.Cosign.Keyless == nil {
			continue
		}
		for _, identity := range attestor.Cosign.Keyless.Identities {
			if err := compiles(identity.IssuerRegExp, identity.SubjectRegExp); err != nil {
				return nil, err
			}
		}
	}
	return func(image string) (bool, error) {
		for _, reference := range policy.Spec.MatchImageReferences {
			ast, issues := env.Compile(reference.Expression)
			if issues.Err() != nil {
				return false, issues.Err()
			}
			program, err := env.Program(ast)
			if err != nil {
				return false, err
			}
			matched, _, err := program.Eval(map[string]any{"ref": image})
			if err != nil {
				return false, err
			}
			if matched.Value() == true {
				return true, nil
			}
		}
		return false, nil
	}, nil
}

func compiles(patterns ...string) error {
	for _, pattern := range patterns {
		if _, err := regexp.Compile(pattern); err != nil {
			return err
		}
	}
	return nil
}

func imageVerificationConfig(text []byte) (matcher, error) {
	document := &talos.ImageVerificationConfigV1Alpha1{}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(document); err != nil {
		return nil, err
	}
	if _, err := document.Validate(nil); err != nil {
		return nil, err
	}
	return func(image string) (bool, error) {
		reference, err := name.ParseReference(image)
		if err != nil {
			return false, err
		}
		for _, rule := range document.Rules() {
			if starglob.Glob(rule.ImagePattern(), reference.Context().String()) {
				return true, nil
			}
		}
		return false, nil
	}, nil
}

func ociRepository(text []byte) (matcher, error) {
	block := struct {
		Verify *flux.OCIRepositoryVerification `json:"verify"`
	}{}
	if err := kyaml.UnmarshalStrict(text, &block); err != nil {
		return nil, err
	}
	if block.Verify == nil || len(block.Verify.MatchOIDCIdentity) == 0 {
		return nil, errors.New("nobody is named in it")
	}
	for _, identity := range block.Verify.MatchOIDCIdentity {
		if err := compiles(identity.Issuer, identity.Subject); err != nil {
			return nil, err
		}
	}
	return func(string) (bool, error) { return false, errors.New("it names no images") }, nil
}

func policyJSON(text []byte) (matcher, error) {
	policy, err := signature.NewPolicyFromBytes(text)
	if err != nil {
		return nil, err
	}
	return func(image string) (bool, error) {
		requirements, err := requirementsOf(policy, image)
		return requirements != nil, err
	}, nil
}

// A scope is looked up from the full name to the host. Without one there is nothing.
func requirementsOf(policy *signature.Policy, image string) (signature.PolicyRequirements, error) {
	reference, err := name.ParseReference(image)
	if err != nil {
		return nil, err
	}
	scope := strings.Replace(reference.Name(), "index.docker.io", "docker.io", 1)
	scopes := []string{scope, strings.Replace(reference.Context().Name(), "index.docker.io", "docker.io", 1)}
	for at := strings.LastIndex(scopes[1], "/"); at > 0; at = strings.LastIndex(scopes[1][:at], "/") {
		scopes = append(scopes, scopes[1][:at])
	}
	for _, scope := range append(scopes, "") {
		if requirements, found := policy.Transports["docker"][scope]; found {
			return requirements, nil
		}
	}
	return nil, nil
}

const (
	required = "signature_required"
	allowed  = "allowed"
	refused  = "refused"
)

// What all documents of a file say of images.
func rule(program, file string, images []string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	rulers := map[string]func([]byte, string) (string, error){
		"policy-controller": policyControllerRule,
		"kyverno":           kyvernoRule,
		"talos":             talosRule,
		"containers":        containersRule,
	}
	ruler, known := rulers[program]
	if !known {
		return fmt.Errorf("unknown program %q", program)
	}
	for _, image := range images {
		ruling, err := ruler(text, image)
		if err != nil {
			return err
		}
		fmt.Println(ruling)
	}
	return nil
}

func documents(text []byte) [][]byte { return bytes.Split(text, []byte("\n---\n")) }

// All policies that match have to accept. Without one, the ConfigMap decides.
func policyControllerRule(text []byte, image string) (string, error) {
	ruling := ""
	noMatch := ""
	for _, document := range documents(text) {
		if bytes.Contains(document, []byte("kind: ConfigMap")) {
			settings := &corev1.ConfigMap{}
			if err := kyaml.UnmarshalStrict(document, settings); err != nil {
				return "", err
			}
			read, err := controller.NewPolicyControllerConfigFromConfigMap(settings)
			if err != nil {
				return "", err
			}
			noMatch = map[string]string{controller.AllowAll: allowed, controller.DenyAll: refused}[read.NoMatchPolicy]
			continue
		}
		policy, err := clusterImagePolicy(document)
		if err != nil {
			return "", err
		}
		matches, err := policyController(document)
		if err != nil {
			return "", err
		}
		if matched, err := matches(image); err != nil || !matched {
			if err != nil {
				return "", err
			}
			continue
		}
		passes := true
		for _, authority := range policy.Spec.Authorities {
			passes = passes && authority.Static != nil && authority.Static.Action == "pass"
		}
		if !passes {
			ruling = required
		} else if ruling == "" {
			ruling = allowed
		}
	}
	if ruling == "" {
		ruling = noMatch
	}
	return ruling, nil
}

// All policies that match have to accept. One without signers refuses.
func kyvernoRule(text []byte, image string) (string, error) {
	ruling := allowed
	for _, document := range documents(text) {
		matches, err := imageValidatingPolicy(document)
		if err != nil {
			return "", err
		}
		matched, err := matches(image)
		if err != nil {
			return "", err
		}
		if !matched || ruling == refused {
			continue
		}
		policy := &kyverno.ImageValidatingPolicy{}
		if err := kyaml.UnmarshalStrict(document, policy); err != nil {
			return "", err
		}
		ruling = required
		if len(policy.Spec.Attestors) == 0 {
			ruling = refused
		}
	}
	return ruling, nil
}

// The first rule that matches counts.
func talosRule(text []byte, image string) (string, error) {
	if _, err := imageVerificationConfig(text); err != nil {
		return "", err
	}
	document := &talos.ImageVerificationConfigV1Alpha1{}
	if err := yaml.Unmarshal(text, document); err != nil {
		return "", err
	}
	reference, err := name.ParseReference(image)
	if err != nil {
		return "", err
	}
	for _, rule := range document.Rules() {
		switch {
		case !starglob.Glob(rule.ImagePattern(), reference.Context().String()):
		case rule.Skip():
			return allowed, nil
		case rule.Deny():
			return refused, nil
		default:
			return required, nil
		}
	}
	return allowed, nil
}

func containersRule(text []byte, image string) (string, error) {
	policy, err := signature.NewPolicyFromBytes(text)
	if err != nil {
		return "", err
	}
	requirements, err := requirementsOf(policy, image)
	if err != nil {
		return "", err
	}
	if requirements == nil {
		requirements = policy.Default
	}
	written, err := json.Marshal(requirements)
	switch {
	case err != nil:
		return "", err
	case bytes.Contains(written, []byte("insecureAcceptAnything")):
		return allowed, nil
	case bytes.Contains(written, []byte(`"reject"`)):
		return refused, nil
	}
	return required, nil
}

// policy-controller's own judgement of a bundle. The trusted root is named in each authority, since the document
// means the public-good instance.
func judge(file, trustedRoot, image string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := clusterImagePolicy(text); err != nil {
		return err
	}
	// The same keys, in the version that the webhook is made from.
	policy := &v1alpha1.ClusterImagePolicy{}
	if err := kyaml.UnmarshalStrict(text, policy); err != nil {
		return err
	}
	root, err := os.ReadFile(trustedRoot)
	if err != nil {
		return err
	}
	keys, err := config.NewSigstoreKeysFromMap(map[string]string{"sandbox": string(root)})
	if err != nil {
		return err
	}
	ctx := config.ToContext(context.Background(), &config.Config{SigstoreKeysConfig: keys})
	for i := range policy.Spec.Authorities {
		authority := &policy.Spec.Authorities[i]
		if authority.Keyless != nil {
			authority.Keyless.TrustRootRef = "sandbox"
		}
		if authority.CTLog != nil {
			authority.CTLog.TrustRootRef = "sandbox"
		}
	}
	reference, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	result, failures := webhook.ValidatePolicy(
		ctx, "default", reference, *webhookcip.ConvertClusterImagePolicyV1alpha1ToWebhook(policy), authn.DefaultKeychain,
	)
	if result == nil {
		return errors.Join(failures...)
	}
	fmt.Println("accepted")
	return nil
}
