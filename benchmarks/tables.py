"""The published tables: what each method reached, and the recipe and the options that measure it here."""

from dataclasses import dataclass, field, replace
from typing import Any

CODE, LATER, MEMORY = "authors' code", "later work", "from memory, not checked"
SCORE, DBM = "later work (SCoRe)", "later work (DBM)"

Options = dict[str, str]  # of longtail fit, by their full names
Published = dict[str, tuple[float | str, str]]  # by column: percent of the test images, and who says so


@dataclass(frozen=True)
class Row:
    """A method of a table, as it was published."""

    method: str
    recipe: str  # in the table's folder, or with its own; empty for a figure to compare with alone
    backbone: str
    epochs: int  # 0 where unknown, of a figure to compare with
    published: Published = field(default_factory=dict)
    rerun: dict[str, float] = field(default_factory=dict)  # by column: what others measured who ran it again
    suffix: str = ""  # sets it apart from another row with the same recipe
    options: Options = field(default_factory=dict)  # by which it differs from the recipe
    columns: tuple[str, ...] = ()  # those to measure, if not all
    own_validation: bool = False  # validation images are held out as published
    teachers: tuple[str, ...] = ()  # rows of the table whose runs teach it

    @property
    def key(self) -> str:
        """Name of the row."""
        return self.recipe.replace("/", "_") + self.suffix


@dataclass(frozen=True)
class Table:
    """A data set with the methods tried on it; ``whole`` are the options that train on all published images.

    ``figures`` are the metrics of a cell, ``groups`` those of many-, medium- and few-shot classes.
    """

    name: str
    title: str
    columns: dict[str, Options]
    rows: list[Row]
    remark: str
    whole: Options = field(default_factory=dict)
    figures: tuple[str, ...] = ("top1",)
    groups: tuple[str, str, str] = ("many", "medium", "few")
    recipes: str = ""  # folder of the recipes, where that is not called as the table
    first: dict[str, str] = field(default_factory=dict)  # of second stages: table and name of the run, by column

    def planned(self, row: Row) -> tuple[str, ...]:
        """Columns in which a row is to be measured."""
        return (row.columns or tuple(self.columns)) if row.recipe else ()


SYSTEMS = {
    "ce": "cross-entropy",
    "logit_adjusted": "logit adjustment",
    "ldam_drw": "LDAM-DRW",
    "cdb_w": "CDB-W",
    "cdb_s": "CDB-S",
    "bcl": "BCL, sim-sim",
    "bcl_sim_rand": "BCL, sim-rand",
    "bcl_rand_rand": "BCL, rand-rand",
    "cibl": "CIBL",
    "gml": "GML, momentum encoder",
    "gml_teacher": "GML, teacher",
}
FACTORS = ("0.01", "0.02", "0.1")
R32, R50, X50, R152 = "ResNet-32", "ResNet-50", "ResNeXt-50", "ResNet-152, pretrained on ImageNet"
R56, X101 = "teacher ResNet-56", "teacher ResNeXt-101"
RESNEXT = {"--model.method.backbone.name": "resnext50_32x4d"}
STRONG = {"--data.views": "[longtail.augment.AutoAugmentView]"}
CROP_AND_FLIP = {  # the settings of LDAM-DRW's released code, whose cross-entropy later tables quote
    "--data.views": "[longtail.augment.PlainView]",
    "--data.batch_size": "128",
    "--model.optimizer.lr": "0.1",
    "--model.optimizer.weight_decay": "2e-4",
}


def cited(source: str, *figures: float | str) -> Published:
    """The figures of one source, for each imbalance factor or for the only column."""
    return dict(zip(FACTORS if len(figures) > 1 else [""], [(figure, source) for figure in figures], strict=True))


def reran(*figures: float) -> dict[str, float]:
    """Figures of others' runs, for each imbalance factor or for the only column."""
    return dict(zip(FACTORS if len(figures) > 1 else [""], figures, strict=True))


def systems(
    backbone: str,
    epochs: int,
    published: dict[str, Published] | None = None,
    rerun: dict[str, dict[str, float]] | None = None,
    **others: dict[str, Any],
) -> list[Row]:
    """A row for each system; ``others`` holds what is different, by recipe. CDB is published with validation images."""
    rows = [
        Row(method, recipe, backbone, epochs, (published or {}).get(recipe, {}), (rerun or {}).get(recipe, {}))
        for recipe, method in SYSTEMS.items()
    ]
    return [replace(row, own_validation="cdb" in row.recipe, **others.get(row.recipe, {})) for row in rows]


def cifar(
    name: str,
    title: str,
    plain: Published,
    published: dict[str, Published],
    rerun: dict[str, dict[str, float]],
    *more: Row,
) -> Table:
    """The table of a CIFAR set; ``plain`` are the figures of cross-entropy, ``rerun`` holds LDAM-DRW with AutoAugment
    and Cutout as "ldam_drw_strong"."""
    rows = [
        Row("cross-entropy, crop and flip alone", "ce", R32, 200, plain, suffix="_plain", options=CROP_AND_FLIP),
        Row("LDAM-DRW, AutoAugment and Cutout", "ldam_drw", R32, 200, {}, rerun["ldam_drw_strong"], "_strong", STRONG),
    ]
    cdb, cibl = {"epochs": 240}, {"epochs": 100}
    rows += systems(
        R32, 200, published, rerun, cdb_w=cdb, cdb_s=cdb, cibl=cibl, gml_teacher={"backbone": f"{R32}, {R56}"}
    )
    remark = (
        "The columns are imbalance factors. Cross-entropy and LDAM-DRW are published with crop and flip alone; the\n"
        "recipes `ce` and `logit_adjusted` have the augmentation of BCL's classifier view. Those who ran the methods\n"
        "again (DBM, AAAI 2025) gave AutoAugment and Cutout to all of them. CDB's released code judges the checkpoint\n"
        "that is best on validation images, so both figures stand in its cells. CIBL's settings are not public; its\n"
        "paper says that it needs far fewer epochs, so it gets half of BCL's, and stands beside BCL of that length.\n"
        "The contrastive views are pad-cropped, which was chosen on CIFAR-100-LT at 0.01 by BCL of 30 epochs, a tenth\n"
        "of the training images held out, seed 0, by balanced accuracy on validation after the last epoch: 32.0 with\n"
        "pad-crop, 26.1 with a random resized crop of .08 to 1, as related code has it, 26.2 with .2 to 1 and blur."
    )
    columns = {factor: {"--data.factor": factor} for factor in FACTORS}
    return Table(name, title, columns, [*rows, *more], remark, {"--data.val_fraction": "0"})


FIRST_STAGE = {  # of 30 epochs, so few that second stages can be measured with several seeds
    "--model.method.backbone.name": "resnet14x2_cifar",
    "--model.optimizer": "timm.optim.Muon",
    "--model.optimizer.lr": "0.01",
    "--model.optimizer.momentum": "0.95",
    "--model.optimizer.nesterov": "true",
    "--model.optimizer.weight_decay": "0.1",
    "--model.schedule": "longtail.tasks.CosineSchedule",
    "--model.schedule.warmup": "3",
    "--model.resizing": "longtail.augment.ProgressiveResizing",
    "--model.resizing.sizes": "[0.75]",
    "--model.resizing.milestones": "[0.8]",
    "--data.batch_size": "128",
    "--data.val_per_class": "25",
}
GML_400 = cited(CODE, 54.0, 58.1, 67.0)
BCL_400 = {"--model.schedule.milestones": "[0.9,0.95]"}  # epochs 360 and 380
CIFAR100_LT = cifar(
    "cifar100_lt",
    "CIFAR-100-LT",
    cited(LATER, 38.3, 43.9, 55.7),
    {
        "ldam_drw": cited(LATER, 42.0, 46.6, 58.7),
        "cdb_w": {"0.01": (42.6, LATER), "0.1": (58.7, LATER)},
        "bcl": cited(LATER, 51.9, 56.6, 64.9),
        "gml_teacher": cited(CODE, 53.0, 57.6, 65.7),
    },
    {
        "ce": reran(44.60, 48.75, 61.98),
        "ldam_drw_strong": reran(48.99, 54.27, 64.58),
        "logit_adjusted": reran(49.35, 54.79, 63.93),
        "bcl": reran(50.23, 55.35, 64.98),
        "gml_teacher": reran(53.12, 58.17, 66.93),
    },
    Row(
        "cross-entropy, a first stage for others",
        "ce",
        "ResNet-14, twice the channels",
        30,
        suffix="_first_stage",
        options=FIRST_STAGE,
        columns=("0.01",),
        own_validation=True,
    ),
    Row("logit adjustment, in little time", "fast", "ResNet-10, four stages from 32 channels", 100, columns=("0.01",)),
    Row(
        "taught by the runs of logit adjustment, BCL and GML",
        "best",
        R32,
        300,
        columns=("0.01",),
        teachers=("logit_adjusted", "bcl", "gml"),
    ),
    Row("BCL, sim-sim", "bcl", R32, 100, suffix="_100", columns=("0.01",)),
    Row("BCL, sim-sim", "bcl", R32, 400, {"0.01": (53.9, LATER)}, {}, "_400", BCL_400, columns=("0.01",)),
    Row("GML, teacher", "gml_teacher", f"{R32}, {R56}", 400, GML_400, {}, "_400", {"--model.schedule.warmup": "10"}),
)
CIFAR10_LT = cifar(
    "cifar10_lt",
    "CIFAR-10-LT",
    {"0.01": (70.4, LATER), "0.02": (74.8, LATER), "0.1": (86.4, MEMORY)},
    {
        "ldam_drw": {"0.01": (77.0, LATER), "0.02": (81.0, LATER), "0.1": (88.2, MEMORY)},
        "bcl": cited(SCORE, 84.32, 87.24, 91.12),
    },
    {
        "ce": reran(78.48, 82.73, 89.91),
        "ldam_drw_strong": reran(82.60, 85.36, 91.22),
        "logit_adjusted": reran(83.57, 86.45, 91.26),
        "bcl": reran(82.95, 86.76, 91.57),
        "gml_teacher": reran(85.19, 88.07, 92.11),
    },
)
IMAGENET_LT = Table(
    "imagenet_lt",
    "ImageNet-LT",
    {"": {}},
    [
        *systems(
            R50,
            90,
            {
                "cdb_w": cited(LATER, 38.5),
                "bcl": cited(DBM, 56.0),
                "bcl_sim_rand": cited(CODE, 57.2),
                "bcl_rand_rand": cited(CODE, 57.8),
                "gml_teacher": cited(CODE, 58.3),
            },
            cdb_w={"backbone": "ResNet-10"},
            cdb_s={"backbone": "ResNet-10"},
            bcl_sim_rand={"backbone": X50, "options": RESNEXT},
            bcl_rand_rand={"backbone": X50, "options": RESNEXT},
            gml={"backbone": X50},
            gml_teacher={"backbone": f"{X50}, {X101}"},
        ),
        Row("BCL, sim-sim", "bcl", X50, 90, cited(CODE, 57.2), reran(56.7), "_resnext50", RESNEXT),
        Row("GML, teacher", "gml_teacher", f"{X50}, {X101}", 400, cited(CODE, 58.8), suffix="_400"),
    ],
    "A validation split of its own chooses the best epoch.",
)
PLACES_LT = Table(
    "places_lt",
    "Places-LT",
    {"": {}},
    systems(R152, 30, gml_teacher={"backbone": f"{R152}, {X101}"}),
    "A validation split of its own chooses the best epoch.",
)
INATURALIST2018 = Table(
    "inaturalist2018",
    "iNaturalist 2018",
    {"": {}},
    [
        *systems(
            R50,
            100,
            {"bcl": cited(MEMORY, 71.8), "gml_teacher": cited(CODE, 73.1)},
            {"bcl": reran(71.0), "gml_teacher": reran(71.2)},
            gml_teacher={"backbone": f"{R50}, {X101}"},
        ),
        Row("GML, teacher", "gml_teacher", f"{R50}, {X101}", 400, cited(CODE, 74.5), suffix="_400"),
    ],
    "As in the papers, the official validation images are the test images.",
    # the thresholds of the recipes are for a training set without a tenth
    {"--data.val_fraction": "0", "--model.many": "100", "--model.few": "20"},
)
R50_FPN = "ResNet-50-FPN"
LVIS = Table(
    "lvis",
    "LVIS v1",
    {"": {}},
    [
        Row("cross-entropy", "maskrcnn_ce", R50_FPN, 12),
        Row("repeat-factor sampling", "maskrcnn_rfs", R50_FPN, 12),
        Row("repeat-factor sampling", "maskrcnn_rfs_2x", R50_FPN, 24, cited(LATER, "22.5 / 21.7")),
        Row("balanced softmax, repeat factors", "maskrcnn_logit_adjusted", R50_FPN, 12),
        Row("seesaw, repeat factors", "maskrcnn_seesaw_rfs", R50_FPN, 12),
        Row("seesaw, repeat factors", "maskrcnn_seesaw_rfs_2x", R50_FPN, 24, cited(LATER, "27.6 / 26.8")),
        Row("equalization v2", "maskrcnn_eqlv2", R50_FPN, 12),
        Row("federated loss, repeat factors", "maskrcnn_federated", R50_FPN, 12),
        Row("CDB-W", "maskrcnn_cdb_w", R50_FPN, 12),
        Row("CDB-W", "maskrcnn_cdb_w_2x", R50_FPN, 24),
        Row("CDB-S", "maskrcnn_cdb_s", R50_FPN, 12),
        Row("CDB-S", "maskrcnn_cdb_s_2x", R50_FPN, 24),
    ],
    "Mask R-CNN; AP of boxes / of masks on the validation images, as in the papers. The groups are\n"
    "frequent, common and rare classes, by AP of masks.",
    figures=("box_ap", "mask_ap"),
    groups=("mask_ap_many", "mask_ap_medium", "mask_ap_few"),
)
IOU = ("miou", "mean_accuracy")
IOU_GROUPS = ("iou_many", "iou_medium", "iou_few")
CAMVID_DATA = {"--data": "longtail.data.CamVid"}
CAMVID_SMALL = {  # for a CPU
    "--data.image_size": "180",
    "--data.view.size": "[180,240]",
    "--model.method.backbone.name": "tu-resnet10t",
    "--model.method.backbone.architecture": "FPN",
    "--model.method.backbone.options": '{"decoder_pyramid_channels": 128, "decoder_segmentation_channels": 64}',
}
CAMVID = Table(
    "camvid",
    "CamVid",
    {"480x360": {**CAMVID_DATA, "--data.view.size": "[360,480]"}, "240x180": {**CAMVID_DATA, **CAMVID_SMALL}},
    [
        Row("cross-entropy", "ce", "DeepLabV3+, ResNet-18", 100),
        Row("logit adjustment", "logit_adjusted", "DeepLabV3+, ResNet-18", 100),
        Row("CDB-W", "cdb_w", "DeepLabV3+, ResNet-18", 100),
        Row("CDB-S", "cdb_s", "DeepLabV3+, ResNet-18", 100),
        Row("GML", "gml", "DeepLabV3+, ResNet-18", 100),
    ],
    "240x180: images of half the size, and a small network, FPN on timm's ResNet-10, for a CPU.\n"
    "Mean IoU / mean accuracy of the 11 classes on the test images. The groups are classes by their share of the\n"
    "training pixels, by IoU; few-shot are Pole, SignSymbol, Fence, Pedestrian and Bicyclist. No paper reports these.",
    figures=IOU,
    groups=IOU_GROUPS,
    recipes="segmentation",
)


def pixels(name: str, title: str, network: str, epochs: int, peer: Row) -> Table:
    """A table of segmentation: a published peer, and the systems with the same network."""
    names = {
        "ce": "cross-entropy",
        "logit_adjusted": "logit adjustment",
        "cdb_w": "CDB-W",
        "cdb_s": "CDB-S",
        "gml": "GML",
    }
    return Table(
        name,
        title,
        {"": {}},
        [peer, *(Row(method, recipe, network, epochs) for recipe, method in names.items())],
        "Mean IoU / mean accuracy on the validation images, as in the papers, which report the first; single scale.",
        figures=IOU,
        groups=IOU_GROUPS,
    )


PEER = "contrastive peers of GML"
ADE20K = pixels("ade20k", "ADE20K", "UPerNet, Swin-T", 127, Row(PEER, "", "Swin-T", 0, cited(LATER, 45.4)))
CITYSCAPES = pixels(
    "cityscapes",
    "Cityscapes",
    "DeepLabV3+, ResNet-50",
    215,
    Row(PEER, "", "ResNet-50", 0, cited(LATER, 80.8)),
)
EGTEA = Table(
    "egtea",
    "EGTEA Gaze+, verbs",
    {"": {}},
    [
        Row("cross-entropy", "ce", "3D ResNet", 100, cited(LATER, "61.1 / 56.8")),
        Row("logit adjustment", "logit_adjusted", "3D ResNet", 100),
        Row("CDB-W", "cdb_w", "3D ResNet", 100, cited(LATER, "63.3 / 60.4")),
        Row("CDB-S", "cdb_s", "3D ResNet", 100),
    ],
    "Mean recall / mean precision of the 19 verbs on the test clips. The published network is a 3D ResNeXt-101, that\n"
    "of the recipes torchvision's 3D ResNet-18, both from Kinetics weights. The released code judges the checkpoint\n"
    "with the best top-1 accuracy on validation. Which table the published figures belong to is not settled: one\n"
    "reader of the paper places them in that of the minority classes, not of all 19 verbs.",
    figures=("balanced_accuracy", "mean_precision"),
)
MLT = {
    "--model.method.backbone.name": "resnet50",
    "--model.method.backbone.pretrained": "true",
    "--data.batch_size": "32",
    "--data.image_size": "224",
    "--model.optimizer.lr": "1e-4",
}


def several_labels(name: str, title: str) -> Table:
    """The table of a set of several labels an image."""
    rows = [
        ("binary cross-entropy", "bce"),
        ("asymmetric loss", "asymmetric"),
        ("distribution-balanced loss", "balanced"),
        ("CDB-W", "cdb_w"),
        ("CDB-S", "cdb_s"),
    ]
    return Table(
        name,
        title,
        {"": {"--data": "longtail.data.MultiLabelFolder"}},
        [Row(method, recipe, R50, 8, options=MLT, own_validation="cdb" in recipe) for method, recipe in rows],
        "Mean average precision of the classes on the test images. The long-tailed subset and its lists are those of\n"
        "Wu et al. (ECCV 2020), whose length and network the rows have, with AdamW at a rate of 1e-4.\n"
        "`DIR` is a folder in COCO's format: `instances_train.json` with the images of the list,\n"
        "`instances_test.json` with those of the test. No published figure is quoted, as none was at hand to be\n"
        "checked.",
        {"--data.val_fraction": "0"},
        figures=("mean_ap",),
        groups=("mean_ap_many", "mean_ap_medium", "mean_ap_few"),
        recipes="multilabel",
    )


VOC_MLT = several_labels("voc_mlt", "VOC-MLT")
COCO_MLT = several_labels("coco_mlt", "COCO-MLT")
LITE0, VIT = "EfficientNet-Lite0", "ViT-S/14"
COPIES, AT_160 = {"--model.method.copies": "4"}, {"--data.image_size": "160"}
AT_112 = {"--data": "cifar100_lt", "--data.image_size": "112"}


def frozen(method: str, recipe: str, epochs: int = 30, **others: Any) -> Row:
    """A head on frozen features of both networks."""
    return Row(method, f"probe/{recipe}", "frozen", epochs, own_validation="cdb" in recipe, **others)


PRETRAINED = Table(
    "pretrained",
    "CIFAR-100-LT, pretrained networks",
    {
        LITE0: {
            **AT_112,
            "--model.method.backbone.name": "tf_efficientnet_lite0",
            "--model.method.backbone.weights": "weights/efficientnet_lite0.safetensors",
        },
        VIT: {
            **AT_112,
            "--model.method.backbone.name": "vit_small_patch14_dinov2",
            "--model.method.backbone.weights": "weights/vit_small_patch14_dinov2.safetensors",
        },
    },
    [
        frozen("cross-entropy", "ce"),
        frozen("logit adjustment", "logit_adjusted"),
        frozen("logit adjustment, 4 augmented copies", "logit_adjusted", suffix="_copies4", options=COPIES),
        frozen("LDAM", "ldam"),
        frozen("CDB-W", "cdb_w"),
        frozen("CDB-S", "cdb_s"),
        frozen("nearest class mean", "ncm", 1),
        Row("all of it tuned", "cifar100_lt/finetune", "tuned", 5, columns=(LITE0,)),
        Row("all of it tuned, 160 pixels", "cifar100_lt/finetune", "tuned", 5, {}, {}, "_160", AT_160, (LITE0,)),
        Row("LIFT+", "cifar100_lt/lift", "adapters", 5, columns=(VIT,)),
    ],
    "Imbalance factor 0.01, images enlarged to 112 pixels. The networks are EfficientNet-Lite0 of ImageNet and\n"
    "a ViT-S/14 of DINOv2's architecture that was tuned further for saliency, which is no network that one would\n"
    "choose. The files of their weights are looked for in `weights/` of the current folder. CDB holds a tenth of\n"
    "the training images out for validation, the others train on all.",
    {"--data.val_fraction": "0"},
)
SECOND = Table(
    "second",
    "Second stages",
    {"CDB-W": {}, "CE": {}},
    [
        Row("cross-entropy", "ce", "frozen", 30, own_validation=True),
        Row("cRT", "crt", "frozen", 30, own_validation=True),
        Row("LWS", "lws", "frozen", 30, own_validation=True),
        Row("tau-normalised", "tau", "frozen", 11, own_validation=True),
        Row("nearest class mean", "ncm", "frozen", 1, own_validation=True),
    ],
    "New classifiers on the frozen features of a finished run of the same seed, which the column names: of the table\n"
    "of CIFAR-100-LT, imbalance factor 0.01, from random weights, `cdb_w`, a ResNet-32, and `ce_first_stage`, a wider\n"
    "and shallower network that is trained for 30 epochs. Its validation images choose the best epoch, and so the\n"
    "power tau, which is 1 in the last. Measure the first stage first, with the same `--runs`.",
    first={"CDB-W": "cifar100_lt/cdb_w-0.01", "CE": "cifar100_lt/ce_first_stage-0.01"},
)
TABLES = {
    table.name: table
    for table in (
        CIFAR100_LT,
        CIFAR10_LT,
        IMAGENET_LT,
        PLACES_LT,
        INATURALIST2018,
        LVIS,
        ADE20K,
        CITYSCAPES,
        CAMVID,
        EGTEA,
        VOC_MLT,
        COCO_MLT,
        PRETRAINED,
        SECOND,
    )
}
