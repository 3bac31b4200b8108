package main

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

const (
	provisioner   = "fake-kubelet/storage"
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	wantedFrom    = "volume.kubernetes.io/storage-provisioner"
	selectedNode  = "volume.kubernetes.io/selected-node"
	defaultClass  = "storageclass.kubernetes.io/is-default-class"
)

// seeToStorage is an external provisioner: it makes a volume for a claim that the real controller says is its own, which
// binds the two, deletes the volume of a claim that went, and lets volumes grow.
func (k *kubelet) seeToStorage() {
	k.seeToClass("standard", storagev1.VolumeBindingImmediate, map[string]string{defaultClass: "true"})
	k.seeToClass("waiting", storagev1.VolumeBindingWaitForFirstConsumer, nil)
	core := k.factory.Core().V1()
	claims, err := core.PersistentVolumeClaims().Lister().List(labels.Everything())
	k.note(err)
	for _, claim := range claims {
		switch {
		case held(claim) || claim.DeletionTimestamp != nil:
		case claim.Status.Phase == corev1.ClaimPending && claim.Annotations[wantedFrom] == provisioner:
			k.provision(claim)
		case claim.Status.Phase == corev1.ClaimBound:
			k.grow(claim)
		}
	}
	volumes, err := core.PersistentVolumes().Lister().List(labels.Everything())
	k.note(err)
	for _, volume := range volumes {
		if volume.Status.Phase == corev1.VolumeReleased && volume.Annotations[provisionedBy] == provisioner &&
			volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete && volume.DeletionTimestamp == nil {
			k.note(k.core.CoreV1().PersistentVolumes().Delete(k.ctx, volume.Name, metav1.DeleteOptions{}))
		}
	}
}

func (k *kubelet) seeToClass(name string, mode storagev1.VolumeBindingMode, annotations map[string]string) {
	if _, err := k.factory.Storage().V1().StorageClasses().Lister().Get(name); !apierrors.IsNotFound(err) {
		return
	}
	grows := true
	_, err := k.core.StorageV1().StorageClasses().Create(k.ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}, Provisioner: provisioner,
		VolumeBindingMode: &mode, AllowVolumeExpansion: &grows,
	}, metav1.CreateOptions{})
	k.note(err)
}

func (k *kubelet) classOf(claim *corev1.PersistentVolumeClaim) *storagev1.StorageClass {
	if claim.Spec.StorageClassName == nil {
		return nil
	}
	class, err := k.factory.Storage().V1().StorageClasses().Lister().Get(*claim.Spec.StorageClassName)
	if err != nil {
		return nil
	}
	return class
}

func (k *kubelet) provision(claim *corev1.PersistentVolumeClaim) {
	class := k.classOf(claim)
	name := "pvc-" + string(claim.UID)
	if _, err := k.factory.Core().V1().PersistentVolumes().Lister().Get(name); class == nil || !apierrors.IsNotFound(err) {
		return
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: claim.Spec.Resources.Requests, AccessModes: claim.Spec.AccessModes, VolumeMode: claim.Spec.VolumeMode,
			StorageClassName: class.Name, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/fake/" + name}},
		},
	}
	if class.ReclaimPolicy != nil {
		volume.Spec.PersistentVolumeReclaimPolicy = *class.ReclaimPolicy
	}
	_, err := k.core.CoreV1().PersistentVolumes().Create(k.ctx, volume, metav1.CreateOptions{})
	k.note(err)
}

func (k *kubelet) grow(claim *corev1.PersistentVolumeClaim) {
	asked, has := claim.Spec.Resources.Requests[corev1.ResourceStorage], claim.Status.Capacity[corev1.ResourceStorage]
	volume, err := k.factory.Core().V1().PersistentVolumes().Lister().Get(claim.Spec.VolumeName)
	if asked.Cmp(has) <= 0 || err != nil || volume.Annotations[provisionedBy] != provisioner {
		return
	}
	capacity := map[string]any{"capacity": map[string]string{"storage": asked.String()}}
	_, err = k.core.CoreV1().PersistentVolumes().Patch(k.ctx, volume.Name, types.MergePatchType,
		patch(map[string]any{"spec": capacity}), metav1.PatchOptions{})
	k.note(err)
	_, err = k.core.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(k.ctx, claim.Name, types.MergePatchType,
		patch(map[string]any{"status": capacity}), metav1.PatchOptions{}, "status")
	k.note(err)
}
