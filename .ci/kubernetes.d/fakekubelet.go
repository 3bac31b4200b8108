package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
)

// The fake kubelet is a simulator: under a real API server and the real controllers it plays the scheduler, two nodes'
// kubelets, a storage provisioner, a load balancer and an ingress controller. Nothing runs, so logs, exec and ports do
// not answer. It writes the statuses and Events that the real ones write, with their words. Left alone, a Pod becomes
// Running and Ready at once, and a Pod of a Job ends well. A Pod is told to fare otherwise by its annotations:
//
//	fake-kubelet/hold: "true"        is not scheduled until the annotation goes
//	fake-kubelet/fail: MESSAGE       its images cannot be pulled; so too, untold, an image of a host that ends in .invalid
//	fake-kubelet/crash: MESSAGE      its containers end with an error, are started again, and end again
//	fake-kubelet/crash-times: "2"    as often as this, then they stay up
//	fake-kubelet/exit-code: "137"    with this exit code instead of 1; 137 is told as OOMKilled
//	fake-kubelet/unready: MESSAGE    runs, but its readiness probe fails
//	fake-kubelet/complete: "false"   a Pod of a Job runs on ("true": any Pod ends well)
//
// A Pod asking for more than a node has, for a nodeSelector that none has, or for a claim that is not there, is not
// scheduled, with the Event FailedScheduling. Affinity and the sum of requests are not looked at.
//
// Nodes: fake-0 and fake-1. The annotation fake-kubelet/lost: "true" on one cuts it off: its status becomes Unknown, as
// node-lifecycle-controller makes it for a silent node, and nothing on it is seen to or finished; the real controllers
// taint it and evict its Pods. Taken away again, it comes back.
//
// Claims: StorageClass standard (the default) binds at once, waiting when a Pod is there first (WaitForFirstConsumer);
// volumes grow. Services of type LoadBalancer and Ingresses get an address (of a network for documentation). Each stays
// without while it has fake-kubelet/hold: "true".
const prefix = "fake-kubelet/"

type kubelet struct {
	ctx       context.Context
	core      kubernetes.Interface
	scheduler record.EventRecorder
	events    record.EventRecorder
	factory   informers.SharedInformerFactory
	restarts  map[types.UID]time.Time // when a Pod that crashed starts again
	written   map[types.UID]string    // the version of a Pod that was acted on
	assigned  map[types.UID]string    // the node of a Pod
}

func fakeKubelet(args []string) int {
	flags := flag.NewFlagSet("fake-kubelet", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "")
	_ = flags.Parse(args)
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	config.QPS, config.Burst = 500, 1000
	core := kubernetes.NewForConfigOrDie(config)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: core.CoreV1().Events("")})
	k := &kubelet{
		ctx:       ctx,
		core:      core,
		scheduler: broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "default-scheduler"}),
		events:    broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet"}),
		factory:   informers.NewSharedInformerFactory(core, 0),
		restarts:  map[types.UID]time.Time{},
		written:   map[types.UID]string{},
		assigned:  map[types.UID]string{},
	}
	k.run()
	return 0
}

// run looks at what there is, again and again: after each change, and ten times a second for what waits. All decisions are
// made here, one after the other.
func (k *kubelet) run() {
	changed := make(chan struct{}, 1)
	wake := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: wake, UpdateFunc: func(_, o any) { wake(o) }, DeleteFunc: wake}
	core := k.factory.Core().V1()
	for _, informer := range []cache.SharedIndexInformer{
		core.Pods().Informer(), core.Nodes().Informer(), core.Services().Informer(),
		core.PersistentVolumeClaims().Informer(), core.PersistentVolumes().Informer(),
		k.factory.Networking().V1().Ingresses().Informer(), k.factory.Storage().V1().StorageClasses().Informer(),
	} {
		_, err := informer.AddEventHandler(handler)
		k.note(err)
	}
	k.factory.Start(k.ctx.Done())
	k.factory.WaitForCacheSync(k.ctx.Done())
	tick := time.NewTicker(100 * time.Millisecond)
	for {
		k.seeToNodes()
		k.seeToPods()
		k.seeToStorage()
		k.seeToAddresses()
		select {
		case <-k.ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// note says what went wrong. What was changed or removed meanwhile is looked at again anyway.
func (k *kubelet) note(err error) {
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
		fmt.Fprintln(os.Stderr, time.Now().Format(time.RFC3339), err)
	}
}

func held(object metav1.Object) bool { return object.GetAnnotations()[prefix+"hold"] == "true" }

func patch(fields map[string]any) []byte {
	body, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return body
}

// seeToAddresses is the load balancer and the ingress controller.
func (k *kubelet) seeToAddresses() {
	services, err := k.factory.Core().V1().Services().Lister().List(labels.Everything())
	k.note(err)
	for _, s := range services {
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer || len(s.Status.LoadBalancer.Ingress) > 0 || held(s) {
			continue
		}
		mode := corev1.LoadBalancerIPModeVIP
		s = s.DeepCopy()
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1", IPMode: &mode}}
		_, err := k.core.CoreV1().Services(s.Namespace).UpdateStatus(k.ctx, s, metav1.UpdateOptions{})
		k.note(err)
	}
	ingresses, err := k.factory.Networking().V1().Ingresses().Lister().List(labels.Everything())
	k.note(err)
	for _, i := range ingresses {
		if len(i.Status.LoadBalancer.Ingress) > 0 || held(i) {
			continue
		}
		i = i.DeepCopy()
		i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.2"}}
		_, err := k.core.NetworkingV1().Ingresses(i.Namespace).UpdateStatus(k.ctx, i, metav1.UpdateOptions{})
		k.note(err)
	}
}
