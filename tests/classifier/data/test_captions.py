import pytest

from classifier.data.captions import modalities_of, one_modality


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Postoperative anteroposterior radiograph of the pelvis.", "RG"),
        ("Chest X-ray (AP view) on admission", "RG"),
        ("Computed radiography of the hand", "RG"),
        ("Axial computed tomography scan of the pelvis", "CT"),
        ("CT showing large polyp", "CT"),
        ("Computerised tomographic scan chest", "CT"),
        ("X-ray computed tomography", "CT"),
        ("CT angiogram of the left leg", "CT"),
        ("HRCT of the chest", "CT"),
        ("Cone beam computed tomography of a molar", "CT"),
        ("MRI brain with contrast", "MR"),
        ("Magnetic resonance angiography", "MR"),
        ("Axial T2W image", "MR"),
        ("Preintervention MRCP", "MR"),
        ("Axial T2 gradient echo sequence", "MR"),
        ("Parasternal short axis view", "US"),
        ("Apparent diffusion coefficient map", "MR"),
        ("Endoscopic ultrasound findings", "US"),
        ("Transthoracic echocardiography", "US"),
        ("Doppler US of the vein", "US"),
        ("Left coronary arteriogram", "XA"),
        ("Digital subtraction angiography (DSA)", "XA"),
        ("X-ray angiography", "XA"),
        ("Barium meal follow through X-ray", "RF"),
        ("Patient 1 cholangiogram", "RF"),
        ("18F-FDG PET/CT", "PT"),
        ("Bone scintigraphy", "NM"),
        ("Mammographie de profil", "MG"),
        ("Orthopantomogram with lesions", "PX"),
        ("Panoramic radiograph (postoperative)", "PX"),
        ("Intraoral periapical radiograph", "IO"),
        # Nothing is said, or nothing of radiology.
        ("Lower second molar, mesial defect", None),
        ("TEM of the nylon rod", None),
        ("Optical coherence tomography of the retina", None),
        ("The carpet, stir and pet of Mr Smith who told us", None),
        ("An electrocardiogram", None),
        # Two modalities are named, and which one the picture is, is not said.
        ("CT scan on which one could recognise the MRI verified herniation", None),
        ("PET and MRI of the head", None),
    ],
)
def test_modality_of_a_caption(caption, expected):
    assert one_modality(modalities_of(caption)) == expected


def test_what_is_a_kind_of_another_is_the_more_special_one():
    assert one_modality({"RG", "RF", "XA"}) == "XA"
    assert one_modality({"CT", "MR"}) is None
    assert one_modality({"CT", "OT"}) is None
    assert one_modality(()) is None
